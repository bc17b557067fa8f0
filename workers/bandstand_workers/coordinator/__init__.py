"""One study's actor: feeds Search with what trainers tell, and gives them work.

`coordinator` is the actor, which opens the study (`opened_study`) and has it run (`study_run`); `trainers` says who
trains what, `recording` makes what happened durable, `heartbeat` is what is done once a second, `chosen_model` the end.
"""
