package cli

import (
	"maps"
	"testing"

	"reqpm/internal/index"
	"reqpm/internal/pipeline"
	"reqpm/internal/reqfile"
)

// TestOrdinaryIndexOfAFile: tools write pip's own default into files; the index of the
// configuration, perhaps a mirror of it, goes by the name they give it then.
func TestOrdinaryIndexOfAFile(t *testing.T) {
	const ordinary, mirror, house = "https://public.example.org/simple", "https://mirror.example.org/simple/", "https://house.example.org/simple"
	for name, c := range map[string]struct {
		files []reqfile.NamedIndex
		own   bool
		first string // of the indexes asked for everything
		named string // URL that "main" leads to
	}{
		"the ordinary one": {[]reqfile.NamedIndex{{Name: "main", URL: ordinary + "/", Default: true}}, false, mirror, mirror},
		"without address":  {[]reqfile.NamedIndex{{Name: "main", Default: true}}, false, mirror, mirror},
		"explicit":         {[]reqfile.NamedIndex{{Name: "main", URL: ordinary, Explicit: true}}, false, mirror, mirror},
		"chosen":           {[]reqfile.NamedIndex{{Name: "main", URL: house, Default: true}}, false, house, house},
		"command line":     {[]reqfile.NamedIndex{{Name: "main", URL: house, Default: true}}, true, mirror, mirror},
		"in front":         {[]reqfile.NamedIndex{{Name: "main", URL: house}}, false, house, house},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := index.Config{Indexes: []index.IndexConfig{{URL: mirror}}}
			asked := pipeline.Indexes{Options: reqfile.Options{Indexes: c.files}, Pins: map[string]string{"lib": "main", "six": ordinary}}
			if err := nameIndexes(&cfg, asked, c.own, ordinary); err != nil {
				t.Fatal(err)
			}
			urls, first := map[string]string{}, ""
			for _, i := range cfg.Indexes {
				urls[i.Name] = i.URL
				if !i.Explicit && first == "" {
					first = i.URL
				}
			}
			if first != c.first || urls[cfg.Pin["lib"]] != c.named {
				t.Errorf("indexes %v, pins %v", cfg.Indexes, cfg.Pin)
			}
			if urls[cfg.Pin["six"]] != mirror {
				t.Errorf("six is led to %q of %v", cfg.Pin["six"], maps.Clone(urls))
			}
		})
	}
}
