// The node's state for its administrator.
import { useEffect, useState } from 'preact/hooks';
import { t, tError, type Key } from '../i18n';
import { brief, bytes, full } from '../i18n/time';
import { http } from '../net/http';
import { toast } from '../state/toast';
import { Spinner } from './bits';

interface Service {
  instance?: string; service: string; connections?: number; cpu_permille?: number; memory_bytes?: number; queue?: number;
  temperature_c?: number; throttled?: boolean; messages_per_s?: number; version?: string; started_at?: number;
}
interface Store {
  users?: number; convs?: number; messages?: number; sessions?: number; bytes?: number; disk_free?: number;
  last_backup_at?: number; store?: string; problem?: string; set_aside?: string[];
}
interface Backup { name?: string; at: number; bytes?: number; path?: string }
interface NodeStatus { services?: Service[]; store?: Store; backups?: Backup[] }

const every = 5000;

export function Status() {
  const [s, setS] = useState<NodeStatus | null>(null);
  useEffect(() => {
    let told = false;
    const load = () => http<NodeStatus>('GET', '/admin/status').then(
      (x) => { setS(x); told = false; },
      (e) => { if (!told) toast(tError(e), true); told = true; },
    );
    void load();
    const timer = setInterval(() => { if (!document.hidden) void load(); }, every);
    return () => clearInterval(timer);
  }, []);
  if (!s) return <div class="center-box"><Spinner /></div>;
  const services = Array.isArray(s.services) ? s.services : [];
  const hot = services.find((x) => (x.temperature_c ?? 0) > 0);
  return (
    <>
      {s.store?.problem && <p class="note bad" role="alert">{s.store.problem}</p>}
      {services.some((x) => x.throttled) && <p class="note bad" role="alert">{t('s_throttled')}</p>}
      <div class="tiles">
        <Tile label="users" value={s.store?.users} />
        <Tile label="s_convs" value={s.store?.convs} />
        <Tile label="s_messages" value={s.store?.messages} />
        <Tile label="s_connections" value={services.find((x) => x.service === 'gateway')?.connections} />
        <Tile label="s_rate" value={services.find((x) => x.service === 'message')?.messages_per_s} />
        {hot && <Tile label="s_temperature" value={`${hot.temperature_c} °C`} />}
      </div>
      <div class="card">
        <span class="field-label">{t('s_services')}</span>
        {services.map((x) => (
          <div class="service" key={x.instance ?? x.service}>
            <span class="lamp-dot" />
            <b>{x.service}</b>
            <span class="muted small grow">{x.version}{x.started_at ? ` · ${t('s_since', { when: brief(x.started_at) })}` : ''}</span>
            <span class="small">{((x.cpu_permille ?? 0) / 10).toFixed(1)} % CPU · {bytes(x.memory_bytes ?? 0)}</span>
          </div>
        ))}
      </div>
      {s.store && (
        <div class="card">
          <span class="field-label">{t('s_store')}</span>
          <dl class="pairs">
            <Pair label="s_engine" value={s.store.store ?? '–'} />
            <Pair label="s_size" value={bytes(s.store.bytes ?? 0)} />
            <Pair label="s_disk" value={bytes(s.store.disk_free ?? 0)} />
            <Pair label="s_backup" value={s.store.last_backup_at ? full(s.store.last_backup_at) : t('s_never')} />
          </dl>
        </div>
      )}
      {(s.backups ?? []).length > 0 && (
        <div class="card">
          <span class="field-label">{t('s_backups')}</span>
          <dl class="pairs">
            {s.backups!.map((b) => <div key={b.name ?? b.at}><dt>{b.name || full(b.at)}</dt><dd>{b.name ? `${full(b.at)} · ` : ''}{bytes(b.bytes ?? 0)}</dd></div>)}
          </dl>
        </div>
      )}
    </>
  );
}

function Tile({ label, value }: { label: Key; value?: number | string }) {
  if (value === undefined) return null;
  return <div class="tile"><b>{typeof value === 'number' ? value.toLocaleString() : value}</b><span>{t(label)}</span></div>;
}

function Pair({ label, value }: { label: Key; value: string }) {
  return <div><dt>{t(label)}</dt><dd>{value}</dd></div>;
}
