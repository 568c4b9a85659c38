/* Drawing into a plot: steps, hatching, and the two things that a merit order has beyond its curves. */

/* Steps: each value from its own instant to the next one. Where many fall on one pixel, the smallest and largest are drawn, and
 * the area reaches to the one farthest from zero. The area of a stretch without a gap is one polygon: as a path of rectangles, one
 * for each pixel, a year of it takes fifty times as long to fill. */
export function steps(plot, seriesIndex, from, to) {
  return uPlot.orient(plot, seriesIndex, (series, xs, ys, scaleX, scaleY, toX, toY, left, top, width, height) => {
    const stroke = new Path2D(), area = series.fill ? new Path2D() : null;
    const zero = toY(Math.max(scaleY.min, Math.min(scaleY.max, 0)), scaleY, height, top);
    let pen = false, lastX = null, low = 0, high = 0, lastY = 0, far = zero;
    const lift = () => {
      if (pen && area) area.lineTo(lastX, zero);
      pen = false;
      far = zero;
    };
    for (let at = from; at <= to; at += 1) {
      const value = ys[at];
      if (value === null || value === undefined || at + 1 >= xs.length) { lift(); continue; }
      const x0 = Math.round(toX(xs[at], scaleX, width, left)), x1 = Math.round(toX(xs[at + 1], scaleX, width, left));
      const y = Math.round(toY(value, scaleY, height, top) * 2) / 2;
      if (area) {
        if (!pen) area.moveTo(x0, zero);
        if (Math.abs(y - zero) > Math.abs(far - zero)) far = y;
        if (x1 > x0) {
          area.lineTo(x0, far);
          area.lineTo(x1, far);
          far = zero;
        }
      }
      if (!pen) stroke.moveTo(x0, y);
      else if (x0 === lastX && x0 === x1) {
        if (y < low || y > high) { low = Math.min(low, y); high = Math.max(high, y); stroke.lineTo(x0, y); }
        lastY = y;
        continue;
      } else stroke.lineTo(x0, lastY);
      stroke.lineTo(x0, y);
      if (x1 > x0) stroke.lineTo(x1, y);
      pen = true;
      if (lastX !== x1) { low = y; high = y; }
      lastX = x1;
      lastY = y;
    }
    lift();
    return { stroke, fill: area, clip: null, band: null, gaps: null, flags: 1 };
  });
}

/* Hatching behind slots whose value was not measured. */
export function hatch(plot, data, colour) {
  if (!data.doubtful.length) return;
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  for (const instant of data.doubtful) {
    const x0 = plot.valToPos(instant, "x", true), x1 = plot.valToPos(instant + data.step, "x", true);
    ctx.rect(x0, bbox.top, x1 - x0, bbox.height);
  }
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  const gap = 7 * devicePixelRatio;
  for (let x = bbox.left - bbox.height; x < bbox.left + bbox.width; x += gap) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

/* Beyond its last order demand falls to nothing and supply rises without end. */
export function openEnds(plot, data, colours) {
  const { ctx, bbox } = plot;
  const edges = [bbox.top + bbox.height, bbox.top];
  ctx.save();
  ctx.lineWidth = 2 * devicePixelRatio;
  data.values.forEach((list, side) => {
    const last = list.findLastIndex((price) => price !== null);
    if (last < 0 || last + 1 >= data.x.length || !plot.series[side + 1].show) return;
    const x = Math.round(plot.valToPos(data.x[last + 1], "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = colours[side];
    ctx.setLineDash(side ? [6 * devicePixelRatio, 3 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(x, plot.valToPos(list[last], "price_micro", true));
    ctx.lineTo(x, edges[side]);
    ctx.stroke();
  });
  ctx.restore();
}

/* A cross and a ring at the cleared point of a merit order. */
export function clearedPoint(plot, cleared, colour) {
  if (!cleared) return;
  const { ctx, bbox } = plot;
  const x = plot.valToPos(cleared.kwh, "x", true), y = plot.valToPos(cleared.price, "price_micro", true);
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(x, y);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.arc(x, y, 5 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.stroke();
  ctx.restore();
}
