"""Which way a metric is better, told from its name where that is certain, and what a study makes of it."""

import pytest

from bandstand.errors import InputError
from bandstand.problem.directions import direction_from_name
from bandstand.problem.objective import Objective
from bandstand.study.study_spec import StudySpec, study_spec_from

DOWN = [
    "loss", "val_loss", "val_output_a_loss", "mean_squared_error", "val_mean_squared_error_2", "mse", "rmse",
    "msle", "mape", "MeanAbsoluteError", "val_log_cosh", "logcosh", "kl_divergence", "kullback_leibler_divergence",
    "sparse_categorical_crossentropy", "cross_entropy", "squared_hinge", "poisson", "perplexity",
    "word_error_rate", "log_loss", "hamming_loss",
]  # fmt: skip
UP = [
    "accuracy", "val_accuracy", "val_accuracy_1", "val_output_a_accuracy", "acc", "top5_accuracy",
    "sparse_top_k_categorical_accuracy", "valAccuracy", "AUC", "val_auc_3", "val_right_auc", "auc_pr", "roc_auc",
    "precision_at_recall", "recall_at_5", "f1", "F1Score", "val_fbeta_score", "r2_score", "R2Score", "mean_io_u",
    "MeanIoU", "val_iou", "dice_coefficient", "sensitivity_at_specificity",
]  # fmt: skip
UNKNOWN = [
    "lossless_rate", "error_free_accuracy", "loss_of_accuracy", "accuracy_loss", "accuracy_drop", "negative_mse",
    "neg_accuracy", "one_minus_accuracy", "loss_scale", "my_score", "inaccuracy", "accuracies",
    "cosine_similarity", "dice", "true_positives", "learning_rate", "x", "accuracy_per_parameter",
    "error_reduction",
]  # fmt: skip


@pytest.mark.parametrize("metric", DOWN)
def test_a_loss_or_an_error_is_better_when_it_is_lower(metric):
    assert direction_from_name(metric) == "minimize"


@pytest.mark.parametrize("metric", UP)
def test_an_accuracy_or_the_like_is_better_when_it_is_higher(metric):
    assert direction_from_name(metric) == "maximize"


TURNED = [
    "1-accuracy", "1 - f1", "val_1.0-auc", "-mse", "1/mse", "baseline/mse", "mse_score", "val_error_score",
    "lost_accuracy",
    "wrong_acc", "explained_error", "detected_errors", "attack_accuracy", "steps_until_accuracy", "discriminator_loss",
    "mean_signed_error", "mean_percentage_error", "f16", "f0",
]  # fmt: skip
"""Names that hold a word which tells, and mean something else by it."""


@pytest.mark.parametrize("metric", [*UNKNOWN, *TURNED, "", "Größe accuracy", "<b>accuracy</b>", "_", "val_"])
def test_a_name_that_could_mean_either_tells_nothing(metric):
    assert direction_from_name(metric) is None


def test_a_direction_that_is_left_out_is_told_from_the_name():
    assert Objective(metric="val_accuracy").direction == "maximize"
    assert Objective(metric="val_accuracy", direction=None).direction == "maximize"
    assert Objective().direction == "minimize"


def test_a_direction_that_the_name_does_not_tell_is_asked_for(spec_with):
    settings = spec_with().model_dump() | {"objective": {"metric": "val_my_score"}}
    with pytest.raises(InputError) as refused:
        study_spec_from(settings, "study.toml")
    assert str(refused.value) == (
        "study.toml: objective.direction must be minimize or maximize if the metric's name does not tell which is "
        'better; got none for \'val_my_score\': set direction = "maximize" if higher is better, else "minimize"'
    )


def test_a_direction_that_is_given_wins_and_one_against_the_name_is_told_once(spec_with):
    against = spec_with(objective={"metric": "val_accuracy", "direction": "minimize"})
    assert against.objective.direction == "minimize"
    assert [notice for notice in against.notices() if "val_accuracy" in notice] == [
        "objective.direction = 'minimize' says that lower is better, but for a metric named val_accuracy usually "
        "higher is better"
    ]
    for agreeing in ({"metric": "val_accuracy", "direction": "maximize"}, {"metric": "val_x", "direction": "maximize"}):
        assert not spec_with(objective=agreeing).notices()


def test_where_a_direction_comes_from_survives_storing_and_makes_no_other_study(spec_with):
    told, given = (
        spec_with(objective=objective)
        for objective in ({"metric": "val_accuracy"}, {"metric": "val_accuracy", "direction": "maximize"})
    )
    stored = told.model_dump(mode="json")
    assert stored["objective"] == {
        "metric": "val_accuracy", "direction": "maximize", "epoch": "best", "told_by_name": True,
    }  # fmt: skip
    assert StudySpec.model_validate(stored).objective.told_by_name
    assert not StudySpec.model_validate(given.model_dump(mode="json")).objective.told_by_name
    assert told == given
    assert told.differences(given) == []


def test_a_study_stored_when_a_missing_direction_meant_minimize_is_not_turned_around(spec_with):
    stored = StudySpec.model_validate(
        spec_with().model_dump(mode="json")
        | {"objective": {"metric": "val_accuracy", "direction": "minimize", "epoch": "best"}}
    )
    assert stored.objective.direction == "minimize"
    (difference,) = spec_with(objective={"metric": "val_accuracy"}).differences(stored)
    assert difference.startswith("objective: ")
    assert difference.endswith("stored; to continue the stored study, set direction = 'minimize' in [objective]")
    assert spec_with(objective={"metric": "val_accuracy", "direction": "minimize"}).differences(stored) == []


def test_an_objective_may_be_the_name_of_a_metric():
    settings = {
        "name": "x", "model": "a:b", "data": "a:c", "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "max_epochs": 1, "budget": {"trials": 1},
    }  # fmt: skip
    short = StudySpec.model_validate(settings | {"objective": "val_accuracy"})
    assert short.objective == Objective(metric="val_accuracy", direction="maximize")
    assert short == StudySpec.model_validate(settings | {"objective": {"metric": "val_accuracy"}})
    with pytest.raises(InputError, match="must be minimize or maximize"):
        study_spec_from(settings | {"objective": "my_score"}, "study.toml")
