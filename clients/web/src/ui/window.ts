// The part of a long list that is near the visible part; thousands of rows would make every change slow.
import type { RefObject } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';

const spare = 15; // rows drawn beyond each edge

/** Rows `from` up to, not including, `to` are drawn; all have one `height`, taken from the first `.conv`. */
export function useWindow(box: RefObject<HTMLElement | null>, count: number) {
  const [v, setV] = useState({ from: 0, to: 40, height: 68 });
  const measure = () => {
    const el = box.current;
    if (!el) return;
    const height = el.querySelector<HTMLElement>('.conv')?.offsetHeight || v.height;
    // In steps, so that scrolling does not draw anew at every pixel.
    const first = Math.floor(el.scrollTop / height / 5) * 5;
    const from = Math.max(0, first - spare);
    const to = first + Math.ceil(el.clientHeight / height) + spare + 5;
    setV((old) => (old.from === from && old.to === to && old.height === height ? old : { from, to, height }));
  };
  useLayoutEffect(() => {
    measure();
    const seen = new ResizeObserver(measure);
    seen.observe(box.current!);
    return () => seen.disconnect();
  }, [count]);
  return { ...v, measure };
}
