// The server's status as it comes: its parts grow with the server, so nothing here names them.
import { bytes, full } from '../i18n/time';

export function StatusTree({ value }: { value: unknown }) {
  if (!isObject(value)) return null;
  const flat = Object.entries(value).filter(([, v]) => !isObject(v) && !isList(v));
  const deep = Object.entries(value).filter(([, v]) => isObject(v) || isList(v));
  return (
    <>
      {flat.length > 0 && <div class="card"><Pairs rows={flat} /></div>}
      {deep.map(([k, v]) => (
        <div class="card" key={k}>
          <span class="field-label">{k}</span>
          <Node value={v} />
        </div>
      ))}
    </>
  );
}

function Node({ value }: { value: unknown }) {
  const entries: [string, unknown][] = isList(value)
    ? value.map((v, i) => [isObject(v) ? String(v.name ?? v.service ?? v.id ?? i + 1) : String(i + 1), v])
    : Object.entries(value as object);
  return (
    <>
      <Pairs rows={entries.filter(([, v]) => !isObject(v) && !isList(v))} />
      {entries.filter(([, v]) => isObject(v) || isList(v)).map(([k, v]) => (
        <div class="status-part" key={k}><b>{k}</b><Node value={v} /></div>
      ))}
    </>
  );
}

function Pairs({ rows }: { rows: [string, unknown][] }) {
  if (rows.length === 0) return null;
  return (
    <dl class="pairs">
      {rows.map(([k, v]) => <div key={k}><dt>{k.replace(/_/g, ' ')}</dt><dd>{show(k, v)}</dd></div>)}
    </dl>
  );
}

function show(key: string, v: unknown) {
  if (typeof v === 'boolean') return <span class={`lamp ${v ? 'on' : 'off'}`}>{v ? '✓' : '✗'}</span>;
  if (typeof v === 'number') {
    if (v > 1.5e12 && v < 4e12) return full(v);
    if (/bytes|size/.test(key)) return bytes(v);
    return v.toLocaleString();
  }
  if (v === 'ok' || v === 'up' || v === 'ready') return <span class="lamp on">{v}</span>;
  return String(v ?? '–');
}

const isObject = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const isList = (v: unknown): v is unknown[] => Array.isArray(v);
