"""What users do with the queue: each study is submitted once, and can be stopped, resumed and deleted."""

from __future__ import annotations

import dataclasses

import optuna
import pytest

from bandstand.errors import InputError, StudyInUseError, StudyNameTakenError, StudyNotFoundError
from bandstand.store.optuna_mirror import open_storage
from bandstand.study.comparison_plan import make_plan
from bandstand.study.states import RunState, SubmissionState
from bandstand.submissions import CodeArchive
from bandstand.submissions.job_instructions import begin_job


def test_a_submitted_study_is_listed_as_queued_and_seen_by_optuna(store, queue, spec, order):
    study = spec()
    submission, is_new = queue.submit_study(study, order)
    assert is_new
    assert (submission.state, submission.submitter) == (SubmissionState.QUEUED, "ada")
    assert store.progress(study.name).state == "queued"
    assert study.name in optuna.get_all_study_names(open_storage(store.database.url))
    assert [one.name for one in queue.waiting()] == [study.name]


def test_the_same_study_again_is_the_same_submission(queue, spec, order):
    study = spec()
    first, _ = queue.submit_study(study, order)
    assert queue.submit_study(study, order) == (first, False)


def test_another_study_under_a_taken_name_is_refused_with_the_difference_and_changes_nothing(queue, spec, order):
    study = spec()
    queue.submit_study(study, order)
    with pytest.raises(StudyNameTakenError, match="seed: 5 here, 0 stored"):
        queue.submit_study(study.model_copy(update={"seed": 5}), order)
    assert len(queue.waiting()) == 1


def test_other_code_under_a_taken_name_is_refused(queue, spec, order):
    study = spec()
    queue.submit_study(study, dataclasses.replace(order, code=CodeArchive.of_files({"train.py": b"x = 1"})))
    with pytest.raises(StudyNameTakenError, match="code: "):
        queue.submit_study(study, dataclasses.replace(order, code=CodeArchive.of_files({"train.py": b"x = 2"})))


def test_a_study_that_is_stopped_while_it_waits_is_never_claimed_until_it_is_resumed(
    store, queue, dispatch, spec, order
):
    study = spec()
    queue.submit_study(study, order)
    stopped = queue.stop(study.name)
    assert (stopped.state, stopped.outcome) == (SubmissionState.ENDED, "stopped")
    assert store.progress(study.name).state == "stopped"
    assert dispatch.claim(per_user=9) is None
    assert queue.resume(study.name, order).state is SubmissionState.QUEUED
    assert store.progress(study.name).state == "queued"
    claimed = dispatch.claim(per_user=9)
    assert claimed is not None
    assert claimed.submission.name == study.name


def test_stopping_what_runs_asks_its_coordinator_to_stop(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    dispatch.claim(per_user=9)
    writer = store.claim(study, "a test")
    writer.set_study(state="running")
    assert queue.stop(study.name).state is SubmissionState.STOPPING
    assert writer.heartbeat().stop
    writer.close()


def test_resumed_code_replaces_the_old_one(queue, dispatch, spec, order):
    study = spec()
    old, new = (CodeArchive.of_files({"train.py": text}) for text in (b"x = 1", b"x = 2"))
    queue.submit_study(study, dataclasses.replace(order, code=old))
    queue.stop(study.name)
    queue.resume(study.name, dataclasses.replace(order, code=new))
    claimed = dispatch.claim(per_user=9)
    assert dispatch.code(claimed.submission) == new


def test_what_has_finished_is_not_resumed(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    run = dispatch.claim(per_user=9).run
    writer = store.claim(study, "a test")
    writer.set_study(state="finished")
    writer.close()
    assert dispatch.end_run(run.id, RunState.SUCCEEDED).outcome == "finished"
    with pytest.raises(InputError, match="has finished, so there is nothing to resume: extend its budget"):
        queue.resume(study.name, order)


def test_a_study_run_from_the_command_line_can_be_resumed_on_a_server(store, queue, spec, order):
    study = spec()
    writer = store.claim(study, "a command line")
    writer.set_study(state="stopped")
    writer.close()
    assert queue.resume(study.name, order).state is SubmissionState.QUEUED


def test_nothing_that_was_never_submitted_is_stopped(queue):
    with pytest.raises(StudyNotFoundError, match="'nobody' was submitted"):
        queue.stop("nobody")


def test_deleting_removes_a_study_everywhere(store, queue, spec, order):
    study = spec()
    archive = CodeArchive.of_files({"train.py": b"x = 1"})
    queue.submit_study(study, dataclasses.replace(order, code=archive))
    with pytest.raises(StudyInUseError, match="is queued: stop it first"):
        queue.delete(study.name)
    queue.stop(study.name)
    assert queue.delete(study.name) == []
    assert queue.find(study.name) is None
    with pytest.raises(StudyNotFoundError):
        store.spec(study.name)
    assert study.name not in optuna.get_all_study_names(open_storage(store.database.url))


def test_a_study_that_somebody_runs_is_not_deleted(store, queue, spec):
    study = spec()
    writer = store.claim(study, "a test")
    with pytest.raises(StudyInUseError, match="runs now: stop it first"):
        queue.delete(study.name)
    writer.close()
    assert store.spec(study.name) == study


def test_a_comparison_is_one_submission_whose_studies_run_in_its_order(queue, dispatch, spec, order):
    plan = make_plan("compared", spec(pruner="none", sampler="random"), ["random"], 2)
    submission, _ = queue.submit_comparison(plan, order)
    assert submission.kind == "comparison"
    with pytest.raises(StudyInUseError, match="a running comparison cannot be extended"):
        queue.submit_comparison(dataclasses.replace(plan, repeats=3), order)
    queue.stop("compared")
    again, is_new = queue.submit_comparison(dataclasses.replace(plan, repeats=3), order)
    assert (again.id, is_new) == (submission.id, True)
    with pytest.raises(StudyNameTakenError, match="belongs to 'compared'"):
        queue.delete(plan.studies()[0].spec.name)


def test_data_may_differ_when_whoever_resumes_a_study_says_so_and_until_somebody_says_otherwise(
    store, queue, dispatch, spec, order
):
    study = spec()
    queue.submit_study(study, order)
    told = []
    for data_may_differ in (True, None, False):
        queue.stop(study.name)
        queue.resume(study.name, dataclasses.replace(order, data_may_differ=data_may_differ))
        told.append(queue.find(study.name).data_may_differ)
    assert told == [True, True, False]
    queue.stop(study.name)
    queue.resume(study.name, dataclasses.replace(order, data_may_differ=True))
    assert begin_job(store, dispatch.claim(per_user=9).run.id).data_may_differ
