// A question that must be answered before anything else: the browser's own dialog keeps the focus in and gives it back.
import { useEffect, useId, useRef, type ReactNode } from 'react'

export function Dialog({ title, open, onClose, children }: { title: string; open: boolean; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const element = dialog.current
    if (!element) return
    if (open && !element.open) element.showModal()
    if (!open && element.open) element.close()
  }, [open])
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onCancel={onClose}>
      {open && <><h2 id={id}>{title}</h2><div className="stack">{children}</div></>}
    </dialog>
  )
}
