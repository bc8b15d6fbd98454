"""Is the data there that a run would train on, or what would it take to make it?"""

from pathlib import Path

from msgspec import Struct

from trainer.doctor.finding import Finding
from trainer.running.disk import free_mb

# Of ClimbMix, estimated for a shard of 60 million tokens: compressed text, packed rows of two bytes a token.
SHARD_MB = 100
PACKED_MB = 120


class Stock(Struct, frozen=True):
    """What prepare.py says of itself here."""

    profile: str = ""
    device: str = ""  # it would compute on: cpu or cuda
    budget_s: float = 0.0
    ready: bool = False  # the data is prepared, whole
    shards: int = 0  # it trains on; 0 if nothing has to be fetched
    cached: int = 0  # of them and the one held out, already on this machine
    problem: str = ""  # why prepare.py cannot even be imported

    @property
    def download_mb(self) -> int:
        """About so much is still to be fetched."""
        return (self.shards + 1 - self.cached) * SHARD_MB if self.shards else 0


def prepared_mb(root: Path, profile: str) -> float:
    """MB that the prepared rows of a profile take on disk."""
    folders = (root / "data" / profile, root / "heldout" / profile)
    return sum(path.stat().st_size for folder in folders for path in folder.glob("*")) / 2**20


def data(root: Path, stock: Stock | None, device: str) -> Finding:
    """The data of the profile that a run in `root` on `device` would use."""
    if stock is None:
        return Finding("data", "warning", "unknown, since prepare.py was not heard")
    profile_mb = prepared_mb(root, stock.profile) if stock.ready else 0.0
    return judged(stock, device, profile_mb, free_mb(root))


def judged(stock: Stock, device: str, profile_mb: float, room_mb: float) -> Finding:
    """What follows: `profile_mb` of rows are there, and the disk has room for `room_mb`."""
    if stock.problem:
        return Finding(
            "data", "missing", f"prepare.py cannot be imported: {stock.problem}",
            "mend what it names; git diff prepare.py shows what was changed",
        )  # fmt: skip
    if stock.device != device:
        return Finding(
            "data", "missing", f"prepare.py would compute on {stock.device}, a run on {device}",
            f"unset LINEAGES_PROFILE, or run with --device {stock.device}",
        )  # fmt: skip
    profile = f"profile {stock.profile}, {stock.budget_s:g} s a trial"
    if stock.ready:
        return Finding("data", "ok", f"{profile}: prepared, {profile_mb:,.0f} MB")
    if not stock.shards:
        return Finding(
            "data",
            "ok",
            f"{profile}: not prepared yet; the first run makes it in a minute, without a network",
        )
    need_mb = stock.download_mb + (stock.shards + 1) * PACKED_MB
    found = f"{profile}: not prepared; about {stock.download_mb:,} MB to fetch, {need_mb:,} MB of disk"
    if room_mb < need_mb:
        return Finding(
            "data", "missing", f"{found}, and {room_mb:,.0f} MB are free",
            "make room, or prepare less: uv run prepare.py --shards 2",
        )  # fmt: skip
    return Finding(
        "data", "warning", f"{found}; the first run begins with that", "uv run prepare.py does it now"
    )
