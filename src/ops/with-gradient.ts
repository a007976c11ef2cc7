import { formatShape, sameShape } from "../ir/dim.js";
import { defineOp } from "./op.js";

/**
 * y with a derivative that was computed beside it: inputs y (a scalar), x and ∂y/∂x; output y, through which x gets that
 * gradient and no other path counts. For functions whose derivative is cheapest where they are computed. A composite: the
 * pass `lowerLinear` leaves y alone.
 */
export const withGradient = defineOp({
  type: "WithGradient",
  domain: "glora",
  infer({ inputs: [y, x, dx], name }) {
    if (y!.type.shape.length !== 0) throw new Error(`${name}: a scalar expected, found ${formatShape(y!.type.shape)}.`);
    if (!sameShape(x!.type.shape, dx!.type.shape))
      throw new Error(
        `${name}: a gradient of shape ${formatShape(x!.type.shape)} expected, found ${formatShape(dx!.type.shape)}.`,
      );
    return [y!.type];
  },
  vjp: (g, { inputs: [, , dx], needs }, [dy]) => [undefined, needs[1] ? g.mul(dx!, dy!) : undefined, undefined],
});
