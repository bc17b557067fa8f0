"""Who may ask, and how much: tokens and roles, browsers' sessions, limits, and headers that protect an answer.

`authentication` tells who asks and what they may; `known_tokens` and `sessions` know a bearer token and a cookie;
`credentials` tells who asks from another; `limits` and `failed_logins` refuse whoever asks too much; `same_origin` and
`headers` keep other sites out.
"""
