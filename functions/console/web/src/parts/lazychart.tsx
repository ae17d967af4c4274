import { Suspense, lazy, type ComponentProps } from 'react'
import type Inner from './chart'

const Loaded = lazy(() => import('./chart'))

/** Chart brings the drawing code with the first chart that is shown. */
export const Chart = (props: ComponentProps<typeof Inner>) => (
  <Suspense fallback={<div className="loading" role="status">Drawing …</div>}><Loaded {...props} /></Suspense>
)
