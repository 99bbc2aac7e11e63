package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestPackagesListsNEVRAs(t *testing.T) {
	publishTools(t)
	bin, src := buildRPM(t, "alpha", "1.0~rc1^post2")
	req := request(t, t.TempDir(), bin)
	req.SRPMs = []string{src}
	snap := mustPublish(t, req)
	list, err := Packages(snap.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].NEVRA() != "alpha-1.0~rc1^post2-1.noarch" || list[1].NEVRA() != "alpha-1.0~rc1^post2-1.src" || !list[1].Source() {
		t.Errorf("got %+v", list)
	}
	if list[0].SHA256 != snap.Packages[0].SHA256 || list[0].File != snap.Packages[0].File {
		t.Errorf("list and snapshot differ: %+v %+v", list[0], snap.Packages[0])
	}
	if got := (Package{Name: "a", Epoch: 2, Version: "1", Release: "3", Arch: "x86_64"}).NEVRA(); got != "a-2:1-3.x86_64" {
		t.Errorf("epoch: %s", got)
	}
}

// FuzzHeader: whatever a build wrote, reading it ends in words that are safe in a path or
// in an error.
func FuzzHeader(f *testing.F) {
	lead := append([]byte{0xed, 0xab, 0xee, 0xdb}, make([]byte, 92)...)
	intro := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8}
	ent := []byte{0, 0, 3, 0xe8, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1}
	h := append(append(append([]byte{}, intro...), ent...), []byte("alpha\x00\x00\x00")...)
	f.Add(append(append(append([]byte{}, lead...), h...), h...))
	f.Add(lead)
	huge := bytes.Clone(intro)
	huge[8], huge[12] = 0xff, 0xff
	f.Add(append(append([]byte{}, lead...), huge...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.rpm")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		sig, main, err := readHeaders(path)
		if err != nil {
			return
		}
		_ = sig.bin(tagHeaderSignature)
		_ = main.int(tagEpoch)
		if p, err := readHeader(path); err == nil {
			if name := p.fileName(); filepath.Base(name) != name || name[0] == '-' || name[0] == '.' {
				t.Errorf("file name %q", name)
			}
		}
	})
}
