package campaigns

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/spool"
)

// FuzzUpload: a multipart request is taken in whole or refused by what it breaks, and
// leaves no room taken.
func FuzzUpload(f *testing.F) {
	const file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.csv\"\r\n\r\nad_id,impressions,clicks,spend\na,1,1,1\n\r\n--b--\r\n"
	f.Add("", "multipart/form-data; boundary=b", []byte(file))
	f.Add("?dry_run=1&account_id=a&conversion_value=12.5", "multipart/form-data; boundary=\"b\"",
		[]byte("--b\r\nContent-Disposition: form-data; name=\"account_id\"\r\n\r\na\r\n"+file))
	f.Add("?account_id=%00", "multipart/form-data; boundary=b", []byte(file[:80]))
	f.Fuzz(func(t *testing.T, query, kind string, body []byte) {
		fn := &function{maxBody: 1 << 20, room: spool.NewRoom(8 << 20)}
		r := httptest.NewRequest(http.MethodPost, importPath, bytes.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", kind)
		up, err := fn.receive(httptest.NewRecorder(), r)
		if err == nil {
			if _, err := io.Copy(io.Discard, up.file.Open()); err != nil {
				t.Errorf("it is not read back: %v", err)
			}
			if len(up.hash) != 32 || len(up.accountID) > maxAccountID {
				t.Errorf("hash of %d bytes, account %q", len(up.hash), up.accountID)
			}
			up.file.Close()
		} else {
			var status interface{ GetStatus() int }
			large := new(http.MaxBytesError)
			if fault.Of(err) != fault.Invalid && !errors.As(err, &large) && (!errors.As(err, &status) || status.GetStatus()/100 != 4) {
				t.Fatalf("an unexpected error: %v", err)
			}
		}
		if n := fn.room.Taken(); n != 0 {
			t.Errorf("%d bytes are still taken", n)
		}
	})
}
