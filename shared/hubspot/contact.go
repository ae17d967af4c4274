package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Contact is what attribution needs of a contact, and no more of the person.
type Contact struct {
	ID int64
	// FacebookClickIDs, GoogleClickIDs and TikTokClickIDs are what HubSpot's own script kept, and
	// ClickIDs and FingerprintHashes are ours, in custom properties of the portal:
	// every value there has ever been, for a later click overwrites the one that
	// led to the conversion. Sorted.
	FacebookClickIDs, GoogleClickIDs, TikTokClickIDs, ClickIDs, FingerprintHashes []string
	// LeadIDs are the leads on Meta that the contact came from. EmailHashes and
	// PhoneHashes are what Options.People made of its addresses.
	LeadIDs, EmailHashes, PhoneHashes []string
	// FirstURL is the first page seen; its query may hold the click id.
	FirstURL                              string
	CreatedAt                             time.Time
	FirstConversionAt, RecentConversionAt time.Time
	// MergedIDs are the contacts that were merged into this one.
	MergedIDs []int64
}

// ConvertedAt is when the contact first converted: its first form, or else its creation.
func (c Contact) ConvertedAt() time.Time { return or(c.FirstConversionAt, c.CreatedAt) }

var keyProperties = []string{"hs_facebook_click_id", "hs_google_click_id", "hs_tiktok_click_id", "gv_click_id", "gv_fingerprint_hash"}

var contactProperties = append(slices.Clone(keyProperties), "hs_analytics_first_url",
	"createdate", "first_conversion_date", "recent_conversion_date", "hs_merged_object_ids",
)

// What a contact's addresses are in; hs_calculated_phone_number has the country's code.
var (
	emailProperties = []string{"email", "hs_additional_emails"}
	phoneProperties = []string{"phone", "mobilephone", "hs_calculated_phone_number", "hs_calculated_mobile_number"}
)

// people returns the hashes of the addresses that the properties hold, sorted; one
// may hold several with ; between them.
func (o object) people(kind string, properties []string, hash func(kind, text string) string) []string {
	var all []string
	for _, name := range properties {
		for part := range strings.SplitSeq(o.Properties.get(name), ";") {
			if h := hash(kind, part); h != "" {
				all = append(all, h)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// batch is the most records that HubSpot reads in one call with their history.
const batch = 50

// Contacts returns the contacts by the id that was asked for: a merged one as
// the contact that it was merged into, a deleted one not at all. Its error is a
// *Partial where HubSpot refuses some of them.
func (c *Client) Contacts(ctx context.Context, ids ...int64) (map[int64]Contact, error) {
	return c.contactsOf(ctx, false, ids)
}

// DeletedContacts returns those of the contacts that are in the portal's recycle
// bin, where HubSpot leaves a deleted contact for some time.
func (c *Client) DeletedContacts(ctx context.Context, ids ...int64) (map[int64]Contact, error) {
	return c.contactsOf(ctx, true, ids)
}

func (c *Client) contactsOf(ctx context.Context, deleted bool, ids []int64) (map[int64]Contact, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found, refused := make(map[int64]Contact, len(ids)), map[int64]string{}
	for chunk := range slices.Chunk(ids, batch) {
		if err := refusedBy(c.contacts(ctx, deleted, chunk, found), refused); err != nil {
			return nil, err
		}
	}
	return found, partial(refused, fmt.Sprintf("%d contacts", len(ids)))
}

func (c *Client) contacts(ctx context.Context, deleted bool, ids []int64, found map[int64]Contact) error {
	wanted, past := slices.Clone(contactProperties), slices.Clone(keyProperties)
	if c.opts.LeadProperty != "" {
		wanted, past = append(wanted, c.opts.LeadProperty), append(past, c.opts.LeadProperty)
	}
	hash := func(string, string) string { return "" }
	if c.opts.People != nil {
		var err error
		if hash, err = c.opts.People(ctx); err != nil {
			return err
		}
		wanted = append(append(wanted, emailProperties...), phoneProperties...)
	}
	r := request{
		method: http.MethodPost, path: "/crm/v3/objects/contacts/batch/read",
		body: map[string]any{"inputs": inputs(ids), "properties": wanted, "propertiesWithHistory": past},
		what: fmt.Sprintf("%d contacts", len(ids)),
	}
	if deleted {
		r.query = url.Values{"archived": {"true"}}
	}
	var answer struct {
		Results []object     `json:"results"`
		Errors  []batchError `json:"errors"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return err
	}
	for _, o := range answer.Results {
		one := contact(o)
		if c.opts.LeadProperty != "" {
			one.LeadIDs = o.ever(c.opts.LeadProperty)
		}
		one.EmailHashes, one.PhoneHashes = o.people("email", emailProperties, hash), o.people("phone", phoneProperties, hash)
		for _, id := range append([]int64{one.ID}, one.MergedIDs...) {
			if _, asked := slices.BinarySearch(ids, id); asked {
				found[id] = one
			}
		}
	}
	refused, err := refusals(ids, func(id int64) bool { _, is := found[id]; return is }, answer.Errors)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.what, err)
	}
	return partial(refused, r.what)
}

func contact(o object) Contact {
	p := o.Properties
	return Contact{
		ID: int64(o.ID), FacebookClickIDs: o.ever("hs_facebook_click_id"), GoogleClickIDs: o.ever("hs_google_click_id"),
		TikTokClickIDs: o.ever("hs_tiktok_click_id"), ClickIDs: o.ever("gv_click_id"), FingerprintHashes: o.ever("gv_fingerprint_hash"),
		FirstURL:          p.get("hs_analytics_first_url"),
		CreatedAt:         or(p.time("createdate"), time.Time(o.CreatedAt)),
		FirstConversionAt: p.time("first_conversion_date"), RecentConversionAt: p.time("recent_conversion_date"),
		MergedIDs: p.mergedIDs(),
	}
}

// DealsOfContact returns the deals that are associated with the contact, in
// ascending order; none where there is no such contact.
func (c *Client) DealsOfContact(ctx context.Context, contactID int64) ([]int64, error) {
	input := map[string]string{"id": strconv.FormatInt(contactID, 10)}
	var deals []int64
	for range maxPages {
		r := request{
			method: http.MethodPost, path: "/crm/v4/associations/contacts/deals/batch/read",
			body: map[string]any{"inputs": []any{input}},
			what: fmt.Sprintf("deals of contact %d", contactID),
		}
		var answer struct {
			Results []struct {
				To []struct {
					ID number `json:"toObjectId"`
				} `json:"to"`
				Paging paging `json:"paging"`
			} `json:"results"`
			Errors []batchError `json:"errors"`
		}
		if err := c.call(ctx, r, &answer); err != nil {
			return nil, err
		}
		refused, err := refusals([]int64{contactID}, func(int64) bool { return len(answer.Results) > 0 }, answer.Errors)
		if err == nil {
			err = partial(refused, r.what)
		}
		if err != nil {
			return nil, err
		}
		after := ""
		for _, result := range answer.Results {
			for _, to := range result.To {
				deals = append(deals, int64(to.ID))
			}
			after = string(result.Paging.Next.After)
		}
		if after == "" {
			slices.Sort(deals)
			return slices.Compact(deals), nil
		}
		input["after"] = after
	}
	return nil, fmt.Errorf("read deals of contact %d: more than %d pages", contactID, maxPages)
}
