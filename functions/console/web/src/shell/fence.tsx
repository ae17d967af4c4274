import { Component, type ReactNode } from 'react'

// Browsers say it differently when the file of a view cannot be fetched.
const unreached = (error: Error) => /dynamically imported module|importing a module script/i.test(error.message)
const reload = () => location.reload()

/** ErrorFence keeps a view that breaks from taking the others with it. A view whose file could not be fetched loads itself when the network is back. */
export class ErrorFence extends Component<{ children: ReactNode }, { error?: Error }> {
  state: { error?: Error } = {}
  static getDerivedStateFromError(error: Error) { return { error } }
  componentDidCatch(error: Error) { if (unreached(error)) window.addEventListener('online', reload, { once: true }) }
  componentWillUnmount() { window.removeEventListener('online', reload) }
  render() {
    const { error } = this.state
    if (!error) return this.props.children
    return (
      <div className="notice bad" role="alert">
        <p>{!unreached(error) ? `This view broke: ${error.message}` : navigator.onLine
          ? 'This view cannot be reached, or the system was renewed since this page was loaded.'
          : 'You are offline, and this view was not opened before. It opens by itself when you are back.'}</p>
        <button type="button" onClick={reload}>Load it again</button>
      </div>
    )
  }
}
