# shellcheck shell=sh
# /etc/profile of Debian sets PATH anew. Login shells read this file after it, so they find ray and bandstand:
# `ray up` runs every command by `bash --login`.
PATH="/opt/bandstand/bin:$PATH"
