"""Commands that are taken whatever else is refused for want of room: they stop something, or protect somebody."""

ESSENTIAL = frozenset(
    {
        "account.log-out",
        "account.pause",
        "job.pause",
        "job.reject",
        "job.stop",
        "job.withdraw",
        "recipient.erase",
        "recipient.opt-out",
    }
)
