package leadads

import "testing"

// FuzzNotification: what is found is leads with ids of digits, however the
// notification is written.
func FuzzNotification(f *testing.F) {
	f.Add([]byte(`{"object":"page","entry":[{"id":"1001","changes":[{"field":"leadgen","value":{"leadgen_id":"77","page_id":1001,"form_id":"5","ad_id":"6","created_time":1764493200}}]}]}`))
	f.Add([]byte(`{"object":"page","entry":[{"id":null,"changes":[{"field":"feed","value":3},{"field":"leadgen","value":{"leadgen_id":[1]}}]}]}`))
	f.Add([]byte(`{"object":"page","entry":[{"id":1001,"changes":[{"field":"leadgen","value":{"leadgen_id":77,"created_time":-9223372036854775808}}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		found, dropped, err := parse(body)
		if err != nil && (len(found) > 0 || dropped > 0) {
			t.Fatalf("%d leads beside %v", len(found), err)
		}
		for _, one := range found {
			for _, id := range []string{one.PageID, one.LeadID} {
				if !digits.MatchString(id) {
					t.Errorf("id %q", id)
				}
			}
			if one.AdID != "" && !digits.MatchString(one.AdID) || one.FormID != "" && !digits.MatchString(one.FormID) || one.CreatedAt.Unix() < 0 {
				t.Errorf("%+v", one)
			}
		}
	})
}
