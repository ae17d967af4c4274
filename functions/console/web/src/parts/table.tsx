// A table that its reader can sort. Long ones draw only the rows in sight.
import { createSortedRowModel, rowSortingFeature, sortFn_basic, tableFeatures, useTable, type ColumnDef, type RowData, type SortingState } from '@tanstack/react-table'
import { useVirtualizer, type Virtualizer } from '@tanstack/react-virtual'
import { memo, useCallback, useMemo, useRef, type ReactNode, type Ref } from 'react'
import { useParam } from './address'

export interface Column<T> {
  name: string
  /** What the column is sorted by; a column without it is not sorted. */
  by?: (row: T) => string | number | null | undefined
  show: (row: T) => ReactNode
  number?: boolean
  /** Left out on a phone. */
  minor?: boolean
  wide?: boolean
  /** Stands in the heading instead of the name. */
  head?: ReactNode
}

interface Props<T> {
  caption: string
  /** Columns and rows of a long table stay the same arrays while their contents do: new ones are sorted anew. */
  columns: Column<T>[]
  rows: T[]
  id: (row: T) => string
  /** The column and direction that it begins with: "-Spend". */
  sorted?: string
  /** The address's name for the order; two tables of one view need two. */
  param?: string
  height?: number
}

const many = 80

// Sorting is all that tables do here: what they can do besides costs time for each row.
const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel(), sortFns: { basic: sortFn_basic } })

/**
 * sortable is a text's key for plain comparison, which takes a tenth of a collator's time on 10,000 rows: without case and accents,
 * and numbers by their size.
 */
const sortable = (text: string) => text.normalize('NFD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/\d+/g, (digits) => digits.padStart(16, '0'))

export function Table<T extends RowData>({ caption, columns, rows, id, sorted = '', param = 'sort', height = 53 }: Props<T>) {
  const [order, setOrder] = useParam(param, sorted)
  const [by, down] = [order.replace(/^-/, ''), order.startsWith('-')]
  const sorting = useMemo((): SortingState => (columns.some((one) => one.name === by && one.by) ? [{ id: by, desc: down }] : []), [columns, by, down])
  const defs = useMemo(() => columns.map(define), [columns])
  const table = useTable({
    features, data: rows, columns: defs, state: { sorting }, getRowId: id, enableSortingRemoval: false, enableMultiSort: false,
    onSortingChange: (change) => {
      const [next] = typeof change === 'function' ? change(sorting) : change
      if (next) setOrder(next.desc ? `-${next.id}` : next.id)
    },
  })
  const arranged = table.getRowModel().rows
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = arranged.length > many
  const drawn = useVirtualizer({
    count: virtual ? arranged.length : 0, getScrollElement: () => scroller.current, overscan: 12, measureElement: seen,
    // Functions that stay the same while the rows do: new ones would have every row's place computed anew.
    estimateSize: useCallback(() => height, [height]),
    getItemKey: useCallback((index: number) => arranged[index]?.id ?? index, [arranged]),
  })
  const items = drawn.getVirtualItems()
  const before = items[0]?.start ?? 0
  const after = virtual ? drawn.getTotalSize() - (items[items.length - 1]?.end ?? 0) : 0
  const shown = virtual ? items.map((item) => ({ row: arranged[item.index]!, index: item.index })) : arranged.map((row, index) => ({ row, index }))
  return (
    <div className={virtual ? 'scroll tall' : 'scroll'} ref={scroller} tabIndex={0} role="region" aria-label={caption}>
      <table aria-rowcount={arranged.length + 1} aria-label={caption}>
        <thead><tr aria-rowindex={1}>
          {columns.map((column) => (
            <th key={column.name} scope="col" className={kind(column)} aria-sort={by === column.name ? (down ? 'descending' : 'ascending') : undefined}>
              {column.by
                ? <button type="button" onClick={() => table.getColumn(column.name)?.toggleSorting()}>{column.name}</button>
                : column.head ?? column.name}
            </th>
          ))}
        </tr></thead>
        <tbody>
          {before > 0 && <tr className="gap" aria-hidden="true"><td colSpan={columns.length} height={before} /></tr>}
          {shown.map(({ row, index }) => (
            <Row key={row.id} of={row.original} columns={columns} index={index} measure={virtual ? drawn.measureElement : undefined} />
          ))}
          {after > 0 && <tr className="gap" aria-hidden="true"><td colSpan={columns.length} height={after} /></tr>}
        </tbody>
      </table>
    </div>
  )
}

// Row is drawn anew only where its contents or its columns change, not whenever the table is scrolled.
const Row = memo(function Row<T>({ of, columns, index, measure }: { of: T; columns: Column<T>[]; index: number; measure?: Ref<HTMLTableRowElement> }) {
  return (
    <tr ref={measure} data-index={index} aria-rowindex={index + 2}>
      {columns.map((column) => <td key={column.name} className={kind(column)} data-name={column.name}>{column.show(of)}</td>)}
    </tr>
  )
}) as <T>(props: { of: T; columns: Column<T>[]; index: number; measure?: Ref<HTMLTableRowElement> }) => ReactNode

// seen is a row's height as the browser reports it once it is laid out; asking for it before would have it laid out for each row.
const seen = (row: Element, entry: ResizeObserverEntry | undefined, { indexFromElement, itemSizeCache, options }: Virtualizer<HTMLDivElement, Element>) => {
  const height = entry?.borderBoxSize[0]?.blockSize
  if (height !== undefined) return Math.round(height)
  const index = indexFromElement(row)
  return itemSizeCache.get(options.getItemKey(index)) ?? options.estimateSize(index)
}

// define is a column as TanStack Table sorts it: its values are made once for each row, and what has no value comes last either way.
const define = <T extends RowData>(column: Column<T>): ColumnDef<typeof features, T> => ({
  id: column.name, enableSorting: column.by !== undefined, sortDescFirst: column.number ?? false, sortUndefined: 'last', sortFn: 'basic',
  accessorFn: (row) => {
    const value = column.by?.(row)
    return typeof value === 'string' ? sortable(value) : value ?? undefined
  },
})

const kind = ({ number, minor, wide }: { number?: boolean; minor?: boolean; wide?: boolean }) =>
  [number && 'number', minor && 'minor', wide && 'wide'].filter(Boolean).join(' ') || undefined
