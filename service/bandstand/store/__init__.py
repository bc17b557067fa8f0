"""PostgreSQL: what is kept of studies, and how it is read and written.

    database          connections to one database; nothing else opens any
    connecting        the server's and the schema's versions, migrations
    embedded          the server that is started where none is named
    tables            our schema, with its `migrations`
    rows              a file for each kind of row
    records           the shape in which readers get a study
    reading           records and lists, put together of several kinds of rows
    optuna_mirror     Optuna's own tables, written in step with ours
    store             studies: to list, read and claim; `study_writer` is a study's one writer
    accounts          who may ask servers for what
    study_requests    what users ask of studies that exist
    comparison_plans  plans of comparisons
    monitoring        how much there is of everything

It knows studies and what happened to their trials. Must not know who asks: reports, servers, comparisons.
"""
