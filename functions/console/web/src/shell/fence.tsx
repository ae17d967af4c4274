import { Component, type ReactNode } from 'react'

/** ErrorFence keeps a view that breaks from taking the others with it. After a deploy an old page asks for files that are gone: it loads itself anew. */
export class ErrorFence extends Component<{ children: ReactNode }, { error?: Error }> {
  state: { error?: Error } = {}
  static getDerivedStateFromError(error: Error) { return { error } }
  render() {
    const { error } = this.state
    if (!error) return this.props.children
    return (
      <div className="notice bad" role="alert">
        <p>This view broke: {error.message}</p>
        <button type="button" onClick={() => location.reload()}>Load it again</button>
      </div>
    )
  }
}
