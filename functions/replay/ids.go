package replay

import (
	"bytes"
	"encoding/json"
	"strings"
)

// maxShown is larger than any message of ours: what is larger is not ours.
const maxShown = 4 << 10

// maxID is longer than any id of ours or of a platform's.
const maxID = 128

// idsIn returns the members of a message that name things: ad_id, objectId and
// the like. Whatever else a message may hold stays where it is.
func idsIn(data []byte) map[string]string {
	ids := map[string]string{}
	if len(data) > maxShown {
		return ids
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var object map[string]any
	if dec.Decode(&object) != nil {
		return ids
	}
	for key, v := range object {
		if key != "id" && !strings.HasSuffix(key, "_id") && !strings.HasSuffix(key, "Id") {
			continue
		}
		switch v := v.(type) {
		case json.Number:
			ids[key] = v.String()
		case string:
			if len(v) <= maxID && !strings.ContainsAny(v, "@ ") {
				ids[key] = v
			}
		}
	}
	return ids
}
