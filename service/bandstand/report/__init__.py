"""Reports: what a study was worth, as one HTML page that opens without a network.

    text         numbers, counts and names as people read them
    drawing      what figures are drawn with; `drawing.Drawing` is a figure with its caption and table
    content      what a document is made of: paragraphs, tables, figures, code
    records      what a study's record says before anything is drawn: order of trials, pauses, params, families
    curves       what learning curves look like, as rules on numbers
    figures      a file a figure; `REPORTS` names them
    findings     the answer in sentences, and what to doubt about it, as rules on numbers
    spec_as_toml a spec as the study file that gives it back
    parts        what is text or a table
    outline      parts and figures in order: a report of results, or the write-up of a project
    forms        a document as HTML, Markdown or JSON; `forms.page.write_report` is the way in

Each knows only those above it. plotly, pandas and Optuna are imported when something is drawn, not before.
"""
