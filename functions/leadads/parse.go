package leadads

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/leads"
)

// id is an id of Meta's: a text, or a number, which older versions send.
type id string

func (i *id) UnmarshalJSON(raw []byte) error {
	*i = id(strings.Trim(string(raw), `"`))
	if *i == "null" {
		*i = ""
	}
	return nil
}

var digits = regexp.MustCompile(`^[0-9]{1,30}$`)

// parse reads a notification and counts the changes in it that are no leads. Meta may
// add members, and sends other fields that the app subscribes to.
func parse(body []byte) (found []leads.Lead, dropped int, err error) {
	var batch struct {
		Object string `json:"object"`
		Entry  []struct {
			ID      id `json:"id"`
			Changes []struct {
				Field string          `json:"field"`
				Value json.RawMessage `json:"value"`
			} `json:"changes"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, 0, errors.New("the body is no notification of Meta's")
	}
	for _, entry := range batch.Entry {
		for _, change := range entry.Changes {
			var value struct {
				LeadID  id    `json:"leadgen_id"`
				PageID  id    `json:"page_id"`
				FormID  id    `json:"form_id"`
				AdID    id    `json:"ad_id"`
				Created int64 `json:"created_time"`
			}
			if batch.Object != "page" || change.Field != "leadgen" || json.Unmarshal(change.Value, &value) != nil {
				dropped++
				continue
			}
			page, lead := string(entry.ID), string(value.LeadID)
			if value.PageID != "" && string(value.PageID) != page || len(page) > 20 || !digits.MatchString(page) ||
				!digits.MatchString(lead) {
				dropped++
				continue
			}
			one := leads.Lead{PageID: page, LeadID: lead, CreatedAt: time.Unix(max(value.Created, 0), 0).UTC()}
			if digits.MatchString(string(value.AdID)) && value.AdID != "0" {
				one.AdID = string(value.AdID)
			}
			if digits.MatchString(string(value.FormID)) {
				one.FormID = string(value.FormID)
			}
			found = append(found, one)
		}
	}
	return found, dropped, nil
}
