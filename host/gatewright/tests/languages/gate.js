import { changes, diff } from 'gatewright:repo/repo@0.1.0';

export const gate = {
  validate(settings) {
    return [];
  },
  evaluate(subject) {
    const findings = [];
    for (const { path } of changes()) {
      const lines = new TextDecoder().decode(diff(path)).split('\n');
      if (lines.some((line) => line.startsWith('+') && line.includes('FIXME'))) {
        findings.push({ rule: 'fixme', severity: 'major', title: 'A FIXME was added', detail: '', path });
      }
    }
    return findings.length > 0
      ? { tag: 'fail', val: { findings, figures: [] } }
      : { tag: 'pass', val: { note: 'nothing was left for later', warnings: [], figures: [] } };
  },
};
