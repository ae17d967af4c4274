// A chart over days, and the same figures as a table for who reads it otherwise.
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'

export interface Series { label: string; values: (number | null)[]; colour: 'accent' | 'warn' | 'bad' | 'soft' | 'ink'; axis?: 'left' | 'right'; dashed?: boolean; show: (value: number | null) => string }
export interface Marker { x: number; label: string }

interface Props { label: string; x: number[]; series: Series[]; markers?: Marker[]; time?: boolean; xLabel?: (x: number) => string; height?: number; rows?: number }

// once leaves out what a label before says already: ticks between whole units are all written as one of them.
const once = (labels: string[]) => labels.map((label, i) => (label === labels[i - 1] ? '' : label))

const dark = window.matchMedia('(prefers-color-scheme: dark)')

export default function Chart({ label, x, series, markers = [], time = true, xLabel, height = 240, rows = 60 }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const name = xLabel ?? ((at: number) => new Date(at * 1000).toISOString().slice(0, 10))
  useEffect(() => {
    const box = place.current
    if (!box) return
    let plot: uPlot | undefined
    const draw = () => {
      plot?.destroy()
      const style = getComputedStyle(document.documentElement)
      // light-dark() is resolved on a real colour only.
      const probe = document.createElement('span')
      box.append(probe)
      const colour = (of: string) => {
        probe.style.color = style.getPropertyValue(`--${of}`)
        return getComputedStyle(probe).color
      }
      const [soft, line, warn] = [colour('soft'), colour('line'), colour('warn')]
      const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '12px system-ui' }
      const of = (side: 'left' | 'right') => series.find((one) => (one.axis ?? 'left') === side)
      const [left, right] = [of('left'), of('right')]
      const latest = Math.max(...markers.map((one) => one.x)) // of today, when the last day's point stands at its beginning
      plot = new uPlot({
        width: Math.max(240, box.clientWidth), height,
        legend: { show: false }, cursor: { drag: { x: false, y: false } },
        scales: { x: { time, ...(latest > (x.at(-1) ?? latest) && { range: (_: uPlot, min: number) => [min, latest] as [number, number] }) }, left: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] }, right: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] } },
        axes: [
          { ...axis, ...(xLabel && { values: (_: uPlot, ticks: number[]) => ticks.map(xLabel) }) },
          ...(left ? [{ ...axis, scale: 'left', size: 76, values: (_: uPlot, ticks: number[]) => once(ticks.map(left.show)) }] : []),
          ...(right ? [{ ...axis, scale: 'right', side: 1, size: 76, grid: { show: false }, values: (_: uPlot, ticks: number[]) => once(ticks.map(right.show)) }] : []),
        ],
        series: [{}, ...series.map((one) => ({
          label: one.label, scale: one.axis ?? 'left', stroke: colour(one.colour), width: 2, dash: one.dashed ? [6, 4] : undefined, points: { show: x.length < 40 }, spanGaps: true,
        }))],
        hooks: {
          draw: [(u) => {
            const pen = u.ctx
            pen.save()
            pen.strokeStyle = warn
            pen.setLineDash([3, 3])
            for (const marker of markers) {
              const at = Math.round(u.valToPos(marker.x, 'x', true))
              if (at < u.bbox.left || at > u.bbox.left + u.bbox.width) continue
              pen.beginPath()
              pen.moveTo(at, u.bbox.top)
              pen.lineTo(at, u.bbox.top + u.bbox.height)
              pen.stroke()
            }
            pen.restore()
          }],
        },
      }, [x, ...series.map((one) => one.values)] as uPlot.AlignedData, box)
      probe.remove()
    }
    draw()
    const resized = new ResizeObserver(() => { if (plot && box.clientWidth > 0 && plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height }) })
    resized.observe(box)
    dark.addEventListener('change', draw)
    return () => { resized.disconnect(); dark.removeEventListener('change', draw); plot?.destroy() }
  }, [x, series, markers, time, height, xLabel])
  const from = Math.max(0, x.length - rows)
  return (
    <figure className="stack figure">
      <ul className="keys" aria-hidden="true">
        {series.map((one) => <li key={one.label}><svg viewBox="0 0 10 10"><rect className={`ink-${one.colour}`} y="3" width="10" height="4" /></svg>{one.label}</li>)}
        {markers.length > 0 && <li><svg viewBox="0 0 10 10"><rect className="ink-warn" x="4" width="2" height="10" /></svg>budget changed</li>}
      </ul>
      <div className="chart" ref={place} role="img" aria-label={label} />
      <details><summary>The figures as a table</summary>
        <div className="scroll" tabIndex={0} role="region" aria-label={`${label}: figures`}><table>
          <thead><tr><th scope="col">{time ? 'Day' : 'At'}</th>{series.map((one) => <th key={one.label} scope="col" className="number">{one.label}</th>)}</tr></thead>
          <tbody>{x.slice(from).map((at, i) => <tr key={at}><th scope="row">{name(at)}</th>{series.map((one) => <td key={one.label} className="number">{one.show(one.values[from + i] ?? null)}</td>)}</tr>)}</tbody>
        </table></div>
        {markers.length > 0 && <ul className="small">{markers.map((one, i) => <li key={i}>{name(one.x)}: {one.label}</li>)}</ul>}
      </details>
    </figure>
  )
}
