/** Giving the keyboard back to the tile after a click. */

/**
 * After a click with the mouse or pen the keys are the tile's again; with the keyboard (and with
 * screen readers, whose clicks have no count or no pointer) the focus stays where it is.
 */
export function releaseFocus(event: MouseEvent): void {
  const focused = document.activeElement;
  if (event.detail === 0 || !(focused instanceof HTMLElement)) return;
  const { pointerType } = event as PointerEvent;
  if (pointerType !== "" && focused.matches("input:not([type=text]), button")) focused.blur();
}
