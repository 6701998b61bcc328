/** RunReport → one HTML page that stands alone: no script, no file, no address; its own policy forbids any. */
import { InputError } from '../errors.js';
import { dimensionError } from './dimensionError.js';
import { html, nothing, trusted, type Html } from './html.js';
import { rateBar, reliabilityPlot, short, trackPlot } from './plots.js';
import type {
  CountedReason,
  DimensionTrack,
  Frame,
  Gallery,
  Rate,
  ReliabilityPlot,
  RunReport,
  Table,
} from './runReport.js';
import { style } from './style.js';

const DATA_URI = /^data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/**
 * The page as text.
 *
 * @throws InputError where a frame's image is no data URI, or the columns of a table or track differ in length.
 */
export function renderReport(report: RunReport): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <title>${report.title}</title>
        <style>
          ${trusted(style)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${report.title}</h1>
            <p class="summary">${report.summary}</p>
            <dl class="facts">
              ${report.facts.map(
                (fact) =>
                  html`<dt>${fact.label}</dt>
                    <dd>${fact.value}</dd>`,
              )}
            </dl>
            ${report.notices.map((notice) => html`<p class="notice ${notice.level}">${notice.text}</p>`)}
          </header>
          ${figures(report)} ${rates(report.rates)} ${report.galleries.map(gallery)}
          ${dimensions(report.dimensions)} ${reasons(report.reasons)}
          ${reliability(report.reliability)} ${report.tables.map(table)}
          <footer>
            magma-vla. Supervisory and soft real-time; no safety-rated function. Hardware stop and
            controller limits stay.
          </footer>
        </main>
      </body>
    </html> `;
  return page.html;
}

function figures({ figures: all }: RunReport): Html {
  if (all.length === 0) return nothing;
  return html`<section class="figures">
    ${all.map(
      ({ label, value, note }) =>
        html`<div class="figure"><span>${label}</span><b>${value}</b><small>${note}</small></div>`,
    )}
  </section>`;
}

function rates(all: readonly Rate[]): Html {
  if (all.length === 0) return nothing;
  const row = (rate: Rate): Html =>
    html`<tr>
      <td>${rate.label}</td>
      <td class="bar">${rateBar(rate)}</td>
      <td class="right">${percent(rate.successes / rate.trials)}</td>
      <td class="right">${percent(rate.low)} to ${percent(rate.high)}</td>
      <td class="right">${rate.successes} of ${rate.trials}</td>
    </tr>`;
  return html`<section>
    <h2>Success</h2>
    <p class="note">The thin line is the interval the rate lies in.</p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th></th>
            <th></th>
            <th class="right">rate</th>
            <th class="right">interval</th>
            <th class="right">episodes</th>
          </tr>
        </thead>
        <tbody>
          ${all.map(row)}
        </tbody>
      </table>
    </div>
  </section>`;
}

function dimensions(tracks: readonly DimensionTrack[]): Html {
  if (tracks.length === 0) return nothing;
  for (const { label, times, recorded, predicted } of tracks)
    if (times.length !== recorded.length || times.length !== predicted.length)
      throw new InputError(
        `report: dimension ${label}`,
        `${times.length} times, ${recorded.length} recorded, ${predicted.length} predicted`,
        'one of each per time',
      );
  const row = (track: DimensionTrack): Html => {
    const error = dimensionError(track);
    const cell = (value: number): Html =>
      html`<td class="right">${Number.isNaN(value) ? '–' : short(value)}</td>`;
    return html`<tr>
      <td>${track.label}</td>
      <td>${track.unit}</td>
      ${cell(error.mean)}${cell(error.p95)}${cell(error.max)}${cell(error.bias)}${cell(error.scale)}
      <td class="right">${error.count}</td>
    </tr>`;
  };
  const heads = ['mean |error|', '95 %', 'largest', 'bias', 'largest recorded', 'compared'];
  return html`<section>
    <h2>Prediction against record</h2>
    <p class="note">
      First step of each prediction minus the action recorded at the same observation.
    </p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>dimension</th>
            <th>unit</th>
            ${heads.map((head) => html`<th class="right">${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${tracks.map(row)}
        </tbody>
      </table>
    </div>
    <p class="legend">
      <span><i class="recorded"></i>recorded</span><span><i class="predicted"></i>predicted</span>
    </p>
    <div class="tracks">
      ${tracks.map(
        (track) =>
          html`<div class="card">
            <h3>${track.label} <small>${track.unit}</small></h3>
            ${trackPlot(track)}
          </div>`,
      )}
    </div>
  </section>`;
}

const severity = { halt: 0, refused: 1, limited: 2 } as const;

function reasons(all: readonly CountedReason[]): Html {
  const sorted = [...all].sort(
    (a, b) => severity[a.outcome] - severity[b.outcome] || b.count - a.count,
  );
  const row = ({ outcome, code, message, count }: CountedReason): Html =>
    html`<tr>
      <td><span class="tag ${outcome}">${outcome}</span></td>
      <td class="right">${count}</td>
      <td><code>${code}</code></td>
      <td class="message">${message}</td>
    </tr>`;
  const body =
    sorted.length === 0
      ? html`<p class="empty">None: every prediction came and every target passed unchanged.</p>`
      : html`<div class="scroll">
          <table>
            <thead>
              <tr>
                <th>outcome</th>
                <th class="right">count</th>
                <th>reason</th>
                <th>the first of them</th>
              </tr>
            </thead>
            <tbody>
              ${sorted.map(row)}
            </tbody>
          </table>
        </div>`;
  return html`<section>
    <h2>Halts, refusals and limits</h2>
    ${body}
  </section>`;
}

function reliability(all: readonly ReliabilityPlot[]): Html {
  if (all.length === 0) return nothing;
  const heads = ['confidence', 'came true', 'answers'];
  const card = (plot: ReliabilityPlot): Html =>
    html`<div class="card">
      <h3>${plot.label} <small>off by ${(100 * plot.error).toFixed(1)} %</small></h3>
      ${reliabilityPlot(plot)}
      <p class="note">${plot.note}</p>
      <table>
        <thead>
          <tr>
            ${heads.map((head) => html`<th class="right">${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${plot.groups.map(
            ({ score, share, count }) =>
              html`<tr>
                <td class="right">${(100 * score).toFixed(1)} %</td>
                <td class="right">${(100 * share).toFixed(1)} %</td>
                <td class="right">${count}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  return html`<section>
    <h2>What the confidence is worth</h2>
    <p class="note">
      Answers in groups of equal size by confidence; an answer came true where its episode
      succeeded. On the dashed line both are equal. Off by: the expected calibration error, the mean
      distance from that line.
    </p>
    <div class="tracks">${all.map(card)}</div>
  </section>`;
}

function gallery({ title, note, frames }: Gallery): Html {
  return html`<section>
    <h2>${title}</h2>
    <p class="note">${note}</p>
    <div class="frames">${frames.map(frame)}</div>
  </section>`;
}

function frame({ image, alt, caption, outcome }: Frame): Html {
  if (!DATA_URI.test(image))
    throw new InputError(
      `report: frame ${caption}`,
      image.slice(0, 40),
      'a base64 data URI of a JPEG, PNG or WebP picture',
    );
  return html`<figure class="${outcome}">
    <img src="${image}" alt="${alt}" />
    <figcaption>${caption}</figcaption>
  </figure>`;
}

function table({ title, note, columns, rows }: Table): Html {
  const wrong = rows.find((row) => row.length !== columns.length);
  if (wrong)
    throw new InputError(
      `report: table ${title}`,
      `a row of ${wrong.length}`,
      `${columns.length} cells`,
    );
  const side = (i: number): string => (columns[i]!.align === 'right' ? 'right' : 'left');
  return html`<section>
    <h2>${title}</h2>
    <p class="note">${note}</p>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            ${columns.map(({ label }, i) => html`<th class="${side(i)}">${label}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                ${row.map((cell, i) => html`<td class="${side(i)}">${cell}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)} %` : '–';
}
