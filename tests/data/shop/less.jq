# take, sell - of what is on the shelf; no more than that.
if .payload.n > .state.here
then "only \(.state.here) are here\n" | halt_error(1)
else {type: {take: "taken", sell: "sold"}[.command], payload}
end
