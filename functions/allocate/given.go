package allocate

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// keep returns what the sampler is given as the ledger keeps it: JSON that reads
// back to the same request. The ads are written by hand, since a reflecting encoder
// takes as long over 10,000 of them as all the draws do.
func keep(req *sampler.Request) ([]byte, error) {
	rest := *req
	rest.Arms = nil
	head, err := json.Marshal(rest)
	if err != nil {
		return nil, fmt.Errorf("keep what was given: %w", err)
	}
	b := make([]byte, 0, about(req))
	b = append(append(b, head[:len(head)-1]...), `,"Arms":[`...) // of a name told twice, the last counts
	for i := range req.Arms {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendArm(b, &req.Arms[i]); err != nil {
			return nil, fmt.Errorf("keep what was given of ad %d: %w", i, err)
		}
	}
	return append(b, "]}"...), nil
}

// about is how long the request is as JSON, nearly.
func about(req *sampler.Request) int {
	n := 4096 + 256*len(req.Account.Deals)
	for i := range req.Arms {
		n += 256 + 96*len(req.Arms[i].Days) + 128*len(req.Arms[i].Past)
	}
	return n
}

func appendArm(b []byte, a *sampler.Arm) ([]byte, error) {
	id, err := json.Marshal(a.ID)
	if err != nil {
		return b, err
	}
	b = append(append(append(b, `{"ID":`...), id...), ',')
	b = appendTotals(b, a.AgeHours, a.Impressions, a.Clicks, a.Spend)
	b = appendAmount(b, `,"Pipeline":`, &a.Pipeline)
	b = appendAmount(b, `,"Cash":`, a.Cash)
	b = appendAmount(b, `,"Current":`, &a.Current)
	if a.Min != 0 {
		b = appendAmount(b, `,"Min":`, &a.Min)
	}
	b = appendAmount(b, `,"Max":`, a.Max)
	if a.CurrentKnown {
		b = append(b, `,"CurrentKnown":true`...)
	}
	if a.Excluded {
		b = append(b, `,"Excluded":true`...)
	}
	if a.DNA != nil {
		b = appendFloat(b, `,"DNA":`, *a.DNA)
	}
	if a.Attribution != 0 {
		b = appendFloat(b, `,"Attribution":`, a.Attribution)
	}
	for i := range a.Days {
		d := &a.Days[i]
		b = appendTotals(open(b, `,"Days":[`, i), d.AgeHours, d.Impressions, d.Clicks, d.Spend)
		b = shut(b, i, len(a.Days))
	}
	for i := range a.Past {
		p := &a.Past[i]
		b = appendTotals(open(b, `,"Past":[`, i), p.AgeHours, p.Impressions, p.Clicks, p.Spend)
		b = appendAmount(b, `,"Pipeline":`, &p.Pipeline)
		b = appendAmount(b, `,"Cash":`, p.Cash)
		b = shut(b, i, len(a.Past))
	}
	return append(b, '}'), nil
}

// open begins the i-th object of a list, and shut ends it.
func open(b []byte, list string, i int) []byte {
	if i > 0 {
		list = ","
	}
	return append(append(b, list...), '{')
}

func shut(b []byte, i, n int) []byte {
	if b = append(b, '}'); i == n-1 {
		b = append(b, ']')
	}
	return b
}

func appendTotals(b []byte, age float64, impressions, clicks int64, spend money.Amount) []byte {
	b = appendFloat(b, `"AgeHours":`, age)
	b = strconv.AppendInt(append(b, `,"Impressions":`...), impressions, 10)
	b = strconv.AppendInt(append(b, `,"Clicks":`...), clicks, 10)
	return appendAmount(b, `,"Spend":`, &spend)
}

// appendFloat writes the shortest number that reads back to x, which is finite.
func appendFloat(b []byte, name string, x float64) []byte {
	return strconv.AppendFloat(append(b, name...), x, 'g', -1, 64)
}

// appendAmount leaves out what is not known.
func appendAmount(b []byte, name string, x *money.Amount) []byte {
	if x == nil {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(*x), 10)
}
