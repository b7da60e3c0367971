"""No checkpoint of a network that has lost a block: its weights would look complete, and its training was not."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from wholeframe.surgery.verify import refuse_lost


class AttachedBlocks(Callback):
    """Raises the ValueError of `wf.verify` instead of saving, where something has dropped an inserted block."""

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        refuse_lost(pl_module)
