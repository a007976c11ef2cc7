/** The small pretrained ViT that comes with the package. */
import { fileURLToPath } from "node:url";

/** Folder of vit-micro: 2.7 M parameters, images of 32×32; a base for trying things out, see its README. */
export const embeddedModel: string = fileURLToPath(new URL("../../models/vit-micro", import.meta.url));
