package index

import (
	"encoding/hex"
	"iter"
	"slices"

	"reqpm/internal/pep440"
)

// Project is what an index has of one project: its releases, oldest first. It is kept packed
// (see pack.go), is never changed, and is safe for concurrent use.
type Project struct {
	Name string // PEP 503 form

	index    string // of files that name none
	texts    []string
	tags     []WheelTags // by the number of their text; only those that are some
	prefix   string      // of all addresses
	releases []Release
	screen   *screen
	owner    func(index, address string) string // whose a file is; nil: everybody's
}

// Release is one version of a project with its files.
type Release struct {
	Version pep440.Version // of its first file

	project *Project
	files   int
	records string
}

// Brief is what of a file decides whether it can be used; reading it costs no memory.
type Brief struct {
	Kind           Kind
	Wheel          *WheelTags // nil for an sdist; the same pointer for the same tags of a project
	RequiresPython string
	Yanked         bool
	HasMetadata    bool
}

// Releases are all releases, oldest first, also those whose files are all held back by the
// client's configuration (see Config.ExcludeNewer, MinAge and Block).
func (p *Project) Releases() []Release { return p.releases }

// Files unpacks every file that is not held back, oldest version first.
func (p *Project) Files() []File {
	n := 0
	for _, r := range p.releases {
		n += r.files
	}
	files := make([]File, 0, n)
	for _, r := range p.releases {
		files = r.appendFiles(files)
	}
	return files
}

// records yields what is not held back.
func (r Release) each() iter.Seq[record] {
	return func(yield func(record) bool) {
		if r.project.screen.blocks(r.Version) != nil {
			return
		}
		u := unpacker{s: r.records}
		for range r.files {
			if rec := u.record(len(r.project.texts)); r.project.screen.young(rec.uploaded) == "" && !yield(rec) {
				return
			}
		}
	}
}

// Briefs yields the files that are not held back, sdists first.
func (r Release) Briefs() iter.Seq[Brief] {
	return func(yield func(Brief) bool) {
		for rec := range r.each() {
			b := Brief{Kind: SDist, RequiresPython: r.project.texts[rec.requires], Yanked: rec.flags&packedYanked != 0, HasMetadata: rec.flags&packedMetadata != 0}
			if rec.flags&packedWheel != 0 {
				b.Kind, b.Wheel = Wheel, &r.project.tags[rec.tags]
			}
			if !yield(b) {
				return
			}
		}
	}
}

// Files unpacks the files that are not held back, sdists first.
func (r Release) Files() []File { return r.appendFiles(nil) }

func (r Release) appendFiles(files []File) []File {
	p := r.project
	for rec := range r.each() {
		f := File{
			Name: p.Name, Index: p.index, Filename: rec.filename, Kind: SDist, URL: p.prefix + rec.url, Size: rec.size,
			RequiresPython: p.texts[rec.requires], Yanked: rec.flags&packedYanked != 0, UploadTime: rec.uploaded,
			HasMetadata: rec.flags&packedMetadata != 0, SHA256: hex.EncodeToString([]byte(rec.sha)),
			MetadataSHA256: hex.EncodeToString([]byte(rec.metadataSHA)), Version: r.Version,
		}
		if rec.index != 0 {
			f.Index = p.texts[rec.index]
		}
		if rec.flags&packedURLByName != 0 {
			f.URL += rec.filename
		}
		if p.owner != nil {
			f.Owner = p.owner(f.Index, f.URL)
		}
		if raw := p.texts[rec.version]; raw != r.Version.Raw() {
			if v, err := pep440.Parse(raw); err == nil {
				f.Version = v
			}
		}
		if rec.flags&packedWheel != 0 {
			f.Kind, f.Wheel = Wheel, p.tags[rec.tags]
		}
		if f.Yanked {
			f.YankedReason = p.texts[rec.reason]
		}
		if f.SHA256 != "" || rec.hashCount > 0 {
			f.Hashes = map[string]string{}
			for range rec.hashCount {
				f.Hashes[p.texts[rec.hashes.number()]] = rec.hashes.text()
			}
			if f.SHA256 != "" {
				f.Hashes["sha256"] = f.SHA256
			}
		}
		files = append(files, f)
	}
	return files
}

// own makes the releases belong to p, after p was made a copy of another: they ask their project
// for what is held back and which index it is from.
func (p *Project) own() {
	p.releases = slices.Clone(p.releases)
	for i := range p.releases {
		p.releases[i].project = p
	}
}

// size is about how many bytes p holds.
func (p *Project) size() int {
	n := 0
	for _, r := range p.releases {
		n += len(r.records) + 300
	}
	return n
}
