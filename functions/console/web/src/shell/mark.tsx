/** Mark is the sign beside the name. */
export const Mark = () => (
  <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true"><rect className="ink-accent" width="32" height="32" rx="8" /><path className="mark" d="M7 22l6-7 4 4 8-10" /></svg>
)
