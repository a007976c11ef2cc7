export { type FloatDtype, fromFloat32, toFloat32 } from "../base/float.js";
