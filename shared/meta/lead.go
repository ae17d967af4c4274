package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// pagePrefix stands before a page's id where an ad account's digits stand.
const pagePrefix = "page "

// Page is a page whose lead forms are read, reached with the page's own token.
type Page struct {
	id string
	on *Account
}

// Page returns the page called id, reached with token. It makes no call.
func (c *Client) Page(id, token string) *Page {
	token = strings.TrimSpace(token)
	return &Page{id, &Account{client: c, id: pagePrefix + id, token: func() string { return token }}}
}

// Name returns the page's name.
func (p *Page) Name(ctx context.Context) (string, error) {
	var answer struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	what := "read page " + p.id
	if _, err := p.on.read(ctx, call{path: p.id, query: url.Values{"fields": {"id,name"}}, what: what}, &answer); err != nil {
		return "", err
	}
	if answer.ID != p.id {
		return "", fmt.Errorf("%s: Meta's answer names page %q", what, answer.ID)
	}
	return answer.Name, nil
}

// Subscribe has Meta send the page's leads to the app that the token is of. Doing it
// again changes nothing.
func (p *Page) Subscribe(ctx context.Context) error {
	_, err := p.on.write(ctx, call{
		path: p.id + "/subscribed_apps", form: url.Values{"subscribed_fields": {"leadgen"}}, what: "subscribe to the leads of page " + p.id,
	})
	return err
}

// Lead is what somebody filled in at an ad. Email and Phone are theirs in plain: they
// are hashed where they are read, and written nowhere.
type Lead struct {
	ID, FormID       string
	AdID, CampaignID string // empty where the lead came without an ad
	CreatedAt        time.Time
	Email, Phone     string
}

// Lead returns a lead by its id. Meta has each for 90 days.
func (p *Page) Lead(ctx context.Context, id string) (Lead, error) {
	var answer struct {
		ID         string `json:"id"`
		FormID     string `json:"form_id"`
		AdID       string `json:"ad_id"`
		CampaignID string `json:"campaign_id"`
		Created    string `json:"created_time"`
		Organic    bool   `json:"is_organic"`
		Fields     []struct {
			Name   string            `json:"name"`
			Values []json.RawMessage `json:"values"`
		} `json:"field_data"`
	}
	what := "read lead " + id + " of page " + p.id
	query := url.Values{"fields": {"id,ad_id,campaign_id,form_id,created_time,is_organic,field_data"}}
	if _, err := p.on.read(ctx, call{path: id, query: query, what: what}, &answer); err != nil {
		return Lead{}, err
	}
	created, err := time.Parse("2006-01-02T15:04:05-0700", answer.Created)
	if err != nil || answer.ID != id {
		return Lead{}, fmt.Errorf("%s: Meta's answer names lead %q, made at %q", what, answer.ID, answer.Created)
	}
	l := Lead{ID: id, FormID: answer.FormID, CreatedAt: created.UTC()}
	if !answer.Organic {
		l.AdID, l.CampaignID = answer.AdID, answer.CampaignID
	}
	for _, f := range answer.Fields {
		var value string
		if len(f.Values) == 0 || json.Unmarshal(f.Values[0], &value) != nil {
			continue
		}
		switch f.Name {
		case "email":
			l.Email = value
		case "work_email":
			l.Email = or(l.Email, value)
		case "phone_number":
			l.Phone = value
		case "work_phone_number":
			l.Phone = or(l.Phone, value)
		}
	}
	return l, nil
}
