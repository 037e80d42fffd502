/* Copyright 2026 dfd_perception maintainers */
/* SPDX-License-Identifier: Apache-2.0 */
// Input and deblurred image under one another, with a line between them that is dragged.

export class Compare {
  constructor(stage) {
    this.stage = stage;
    this.wipe = stage.querySelector(".wipe");
    this.left = stage.querySelector("#image-left");
    this.right = stage.querySelector("#image-right");
    this.share = 0.5;
    this.place();
    const drag = (event) => this.set((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
    stage.addEventListener("pointerdown", (event) => {
      if (!stage.classList.contains("two") || (event.pointerType !== "mouse" && event.target.closest(".wipe") === null)) return;
      stage.setPointerCapture(event.pointerId);
      this.dragging = true;
      drag(event);
    });
    stage.addEventListener("pointermove", (event) => this.dragging && drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (this.dragging = false));
    this.wipe.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
      if (!move) return;
      this.set(this.share + move);
      event.stopPropagation();
    });
  }

  set(share) {
    this.share = Math.min(Math.max(share, 0), 1);
    this.place();
  }

  place() {
    this.wipe.style.left = `${this.share * 100}%`;
    this.wipe.setAttribute("aria-valuenow", Math.round(this.share * 100));
    this.left.style.clipPath = this.stage.classList.contains("two") ? `inset(0 ${(1 - this.share) * 100}% 0 0)` : "none";
  }

  // Show an ImageBitmap for each side; either may be missing.
  show(input, deblurred) {
    this.stage.classList.toggle("two", Boolean(input && deblurred));
    this.stage.classList.toggle("filled", Boolean(input || deblurred));
    this.left.hidden = !input;
    this.right.hidden = !deblurred;
    for (const [canvas, bitmap] of [[this.left, input], [this.right, deblurred]]) {
      if (!bitmap) continue;
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
    }
    this.place();
  }
}
