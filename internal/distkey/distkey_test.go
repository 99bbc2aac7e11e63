package distkey_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"reqpm/internal/distkey"
)

// armoured makes a key that holds for some time from made; 0: for ever.
func armoured(t *testing.T, made time.Time, holds time.Duration, revoked bool) []byte {
	t.Helper()
	cfg := &packet.Config{Time: func() time.Time { return made }, KeyLifetimeSecs: uint32(holds.Seconds())}
	e, err := openpgp.NewEntity("Distribution", "", "security@example.org", cfg)
	if err != nil {
		t.Fatal(err)
	}
	if revoked {
		if err := e.RevokeKey(packet.KeyCompromised, "stolen", cfg); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := made.AddDate(0, 6, 0)
	for name, c := range map[string]struct {
		text    []byte
		expires time.Time
		usable  bool
	}{
		"for ever":    {armoured(t, made, 0, false), time.Time{}, true},
		"for a year":  {armoured(t, made, 365*24*time.Hour, false), made.AddDate(0, 0, 365), true},
		"for a month": {armoured(t, made, 30*24*time.Hour, false), made.AddDate(0, 0, 30), false},
		"taken back":  {armoured(t, made, 0, true), time.Time{}, false},
	} {
		keys, err := distkey.Read(c.text, now)
		if err != nil || len(keys) != 1 {
			t.Errorf("%s: %v %v", name, keys, err)
			continue
		}
		if k := keys[0]; !k.Expires.Equal(c.expires) || k.Usable(now) != c.usable || len(k.ID()) != 16 || k.Name != "Distribution <security@example.org>" {
			t.Errorf("%s: %+v, usable %v", name, k, k.Usable(now))
		}
	}
	if _, err := distkey.Read([]byte("<html>moved</html>"), now); err == nil {
		t.Error("a page was read as keys")
	}
}
