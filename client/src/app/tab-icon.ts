import type { Attention } from "./attention.ts";

const sizePx = 64;
const dots = { calm: "", warn: "#d97706", bad: "#c4281e" } as const;

/** The tab's icon with a count on it, drawn; the file itself while all is well. Must be given the page's `link` element. */
export function makeTabIcon(link: HTMLLinkElement): (attention: Attention) => void {
  const plain = link.href;
  const image = new Image();
  let wanted: Attention = { tone: "calm", count: 0, words: "" };
  let drawn = "";

  const draw = (): void => {
    const key = `${wanted.tone} ${label(wanted.count)}`;
    if (key === drawn || (wanted.tone !== "calm" && !image.complete)) return;
    drawn = key;
    if (wanted.tone === "calm") {
      link.type = "image/svg+xml";
      link.href = plain;
      return;
    }
    const canvas = document.createElement("canvas");
    canvas.width = sizePx;
    canvas.height = sizePx;
    const context = canvas.getContext("2d");
    if (!context) return;
    context.drawImage(image, 0, 0, sizePx, sizePx);
    drawBadge(context, wanted);
    link.type = "image/png";
    link.href = canvas.toDataURL("image/png");
  };
  image.addEventListener("load", draw);
  image.src = plain;
  return (attention) => {
    wanted = attention;
    draw();
  };
}

function label(count: number): string {
  return count === 0 ? "!" : count > 99 ? "99+" : String(count);
}

function drawBadge(context: CanvasRenderingContext2D, { tone, count }: Attention): void {
  const text = label(count);
  context.font = `700 ${text.length > 2 ? 26 : 34}px system-ui, sans-serif`;
  const width = Math.max(40, context.measureText(text).width + 14);
  context.fillStyle = dots[tone];
  context.beginPath();
  context.roundRect(sizePx - width, sizePx - 40, width, 40, 20);
  context.fill();
  context.fillStyle = "#ffffff";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, sizePx - width / 2, sizePx - 19);
}
