package service_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/target"
)

// keyFile is an armoured file of new keys, one for each lifetime; 0 is for ever.
func keyFile(t *testing.T, holds ...time.Duration) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range holds {
		e, err := openpgp.NewEntity("Distribution", "", "", &packet.Config{KeyLifetimeSecs: uint32(d.Seconds())})
		if err == nil {
			err = e.Serialize(w)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A distribution's keys are looked at over HTTP and on the disk; what is no more as it was is told, and never twice.
func TestDistributionKeys(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	var served string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/9/KEY" || served == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(served))
	}))
	defer server.Close()
	onDisk := filepath.Join(t.TempDir(), "RPM-GPG-KEY-mine")
	b.targets = []target.Target{{Name: "el9", ReleaseVer: "9", Repos: []target.Repo{
		{ID: "base", GPGCheck: true, GPGKey: []string{server.URL + "/$releasever/KEY"}},
		{ID: "mine", GPGCheck: true, GPGKey: []string{"file://" + onDisk, server.URL + "/9/KEY"}},
		{ID: "unsigned", GPGKey: []string{"file:///nothing"}},
	}}}
	p := b.project(store.Project{Name: "app", GitURL: "https://git.example.org/app"})
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(onDisk, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(wants ...string) {
		t.Helper()
		_, err := b.schedule(service.ScheduleKeys)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
	old := keyFile(t, 0)
	put(old)
	fails("404 Not Found")
	served = keyFile(t, 0, 30*24*time.Hour)
	b.must(service.ScheduleKeys, "looked at 3 keys in 2 files of 1 target; ")
	b.must(service.ScheduleKeys, " holds until "+time.Now().AddDate(0, 0, 30).UTC().Format(time.DateOnly)[:8])
	put(keyFile(t, 0))
	fails(onDisk, "has other keys than before", "before you build again")
	b.must(service.ScheduleKeys, "looked at 3 keys")
	put(keyFile(t, time.Second))
	b.now = time.Now().Add(time.Hour)
	fails("has no key that holds")
	put("<html>moved</html>")
	fails("has no keys")
	log, err := b.store.LogEntries(t.Context(), store.LogFilter{Project: p.ID}, store.Page{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range log.Items {
		if e.Level == "warning" && strings.Contains(e.Message, "has other keys than before") {
			told++
		}
	}
	if told != 2 { // the replaced one, and the one that holds for a second
		t.Errorf("%d warnings in %+v", told, log.Items)
	}
}

func TestDistributionKeysOfNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		newBed(t, url).must(service.ScheduleKeys, "looked at 0 keys in 0 files of 0 targets")
	})
}
