package fault

import (
	"errors"
	"runtime"
)

// placed is an error with the place at which it came to us.
type placed struct {
	error
	origin []uintptr
}

// Unwrap returns the error.
func (p *placed) Unwrap() error { return p.error }

// Here returns err with the caller's stack, which the log shows; err as it is where it
// is nil, has a stack, or is the caller's own mistake, which nobody looks for.
func Here(err error) error {
	if err == nil || Origin(err) != nil {
		return err
	}
	if kind := Of(err); kind != Internal && kind != Unavailable {
		return err
	}
	return &placed{err, callers()}
}

// Origin returns the program counters of the stack nearest to err's cause, the
// innermost call first; nil where it has none.
func Origin(err error) (origin []uintptr) {
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) {
		case *placed:
			origin = e.origin
		case *Error:
			if e.origin != nil {
				origin = e.origin
			}
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				if found := Origin(one); found != nil {
					return found
				}
			}
		}
	}
	return origin
}

// callers is the stack above Here or Down.
func callers() []uintptr {
	counters := make([]uintptr, 32)
	return counters[:runtime.Callers(3, counters)]
}
