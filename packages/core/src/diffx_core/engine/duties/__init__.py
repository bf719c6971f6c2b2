"""What is done between steps, now and then: judging, showing and saving what was learned."""

from diffx_core.engine.duties.duty import Duty as Duty
from diffx_core.engine.duties.look import NO_BETTER as NO_BETTER
from diffx_core.engine.duties.look import Look as Look
from diffx_core.engine.duties.look import given_up as given_up
from diffx_core.engine.duties.preview import Preview as Preview
from diffx_core.engine.duties.save import Save as Save
