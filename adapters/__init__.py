"""One foreign thing a module: each speaks to one outside system in the words of the domain's ports."""

from adapters.cancellation import keep_cancellations

keep_cancellations()
