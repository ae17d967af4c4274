package hubspot

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Partial is the error of a batch that HubSpot answers only in part. Whoever goes on
// without the refused records finds the others beside it.
type Partial struct {
	Refused map[int64]string // why, by the ids that were asked for
	err     error
}

func (p *Partial) Error() string { return p.err.Error() }
func (p *Partial) Unwrap() error { return p.err }

// partial returns the error for refused records of what was asked for, nil where there are none.
func partial(refused map[int64]string, what string) error {
	if len(refused) == 0 {
		return nil
	}
	for _, reason := range refused {
		return &Partial{refused, fmt.Errorf("read %s: %w", what,
			down("HubSpot answers only a part of what it was asked", errors.New(reason), 10*time.Second))}
	}
	return nil
}

// refusedBy adds the records that err says are refused to refused, and returns an err
// that says anything else.
func refusedBy(err error, refused map[int64]string) error {
	var part *Partial
	if !errors.As(err, &part) {
		return err
	}
	for id, reason := range part.Refused {
		refused[id] = reason
	}
	return nil
}

// batchError is one entry of a 207 answer. Its message is not read: it can repeat a
// contact's data.
type batchError struct {
	Category    text               `json:"category"`
	SubCategory text               `json:"subCategory"`
	Context     map[string]numbers `json:"context"`
}

// nothing reports an entry that only says that there is nothing: an id that does not
// exist, a record without associations.
func (e batchError) nothing() bool {
	return e.Category == "OBJECT_NOT_FOUND" || e.SubCategory == "crm.associations.NO_ASSOCIATIONS_FOUND"
}

// ids are the records that the entry is about.
func (e batchError) ids() []int64 {
	var ids []int64
	for _, name := range []string{"ids", "id", "objectId", "fromObjectId"} {
		for _, id := range e.Context[name] {
			if id > 0 {
				ids = append(ids, int64(id))
			}
		}
	}
	return ids
}

// refusals returns which of the asked records a 207 answer refuses, and why: those that
// its errors name and, where an error names none, those that the answer says nothing of.
// An error that concerns no record refuses the whole call.
func refusals(asked []int64, answered func(id int64) bool, list []batchError) (map[int64]string, error) {
	refused, named := map[int64]string{}, map[int64]bool{}
	var unnamed *batchError
	for i, e := range list {
		ids := e.ids()
		if e.nothing() {
			for _, id := range ids {
				named[id] = true
			}
			continue
		}
		if len(ids) == 0 {
			unnamed = &list[i]
		}
		for _, id := range ids {
			if slices.Contains(asked, id) {
				refused[id], named[id] = e.reason(), true
			}
		}
	}
	if unnamed == nil {
		return refused, nil
	}
	before := len(refused)
	for _, id := range asked {
		if !named[id] && !answered(id) {
			refused[id] = unnamed.reason()
		}
	}
	if len(refused) == before {
		return nil, down("HubSpot answers only a part of what it was asked", errors.New(unnamed.reason()), 10*time.Second)
	}
	return refused, nil
}

// reason names the refusal by HubSpot's code for it.
func (e batchError) reason() string {
	code := or(string(e.SubCategory), string(e.Category))
	for _, r := range code {
		if r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			code = ""
		}
	}
	if code == "" || len(code) > 100 {
		return "HubSpot refuses it without a code"
	}
	return "HubSpot refuses it: " + code
}
