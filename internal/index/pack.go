package index

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"reqpm/internal/pep440"
)

// A page of an index is JSON or HTML of up to some megabytes, of which a resolver
// wants a few lines. So what was understood of it is kept packed: every text once, one short
// record a file, records in the order of versions. Unpacking one release does not touch the others.
//
//	texts     n, then n × (length, bytes): version texts, tags, requires-python, …; text 0 is ""
//	prefix    index of the text that all addresses begin with
//	releases  n, then n × (version text, number of files, bytes of their records)
//	files     the records, see packer.file
//
// Numbers are varints (encoding/binary). The packed form carries no identity of its own: the
// cache entry around it says of which page it was made and has its checksum.

// packedFormat changes whenever the form does, or what is read out of pages and file names.
const packedFormat = "packed-1"

const (
	packedWheel = 1 << iota
	packedYanked
	packedMetadata
	packedSHA
	packedMetadataSHA
	packedUploaded
	packedHashes
	packedURLByName // the address ends with the file's name, which is left out
)

// packer writes the packed form.
type packer struct {
	texts  []string
	number map[string]uint64
	prefix string
	b      []byte
}

// pack packs files that are sorted by sortFiles; their Name is not kept.
func pack(files []File) []byte {
	p := &packer{number: map[string]uint64{}}
	p.text("")
	p.prefix = commonPrefix(files)
	var releases []byte
	count := 0
	for i := 0; i < len(files); {
		begin, j := len(p.b), i
		for j < len(files) && files[j].Version.String() == files[i].Version.String() {
			p.file(&files[j])
			j++
		}
		releases = binary.AppendUvarint(releases, p.text(files[i].Version.Raw()))
		releases = binary.AppendUvarint(releases, uint64(j-i))
		releases = binary.AppendUvarint(releases, uint64(len(p.b)-begin))
		count++
		i = j
	}
	prefix := p.text(p.prefix)
	out := binary.AppendUvarint(nil, uint64(len(p.texts)))
	for _, t := range p.texts {
		out = appendText(out, t)
	}
	out = binary.AppendUvarint(out, prefix)
	out = binary.AppendUvarint(out, uint64(count))
	return append(append(out, releases...), p.b...)
}

func commonPrefix(files []File) string {
	if len(files) == 0 {
		return ""
	}
	prefix := files[0].URL
	for i := range files {
		n := 0
		for n < len(prefix) && n < len(files[i].URL) && prefix[n] == files[i].URL[n] {
			n++
		}
		prefix = prefix[:n]
	}
	return prefix
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// text numbers a text that occurs often.
func (p *packer) text(s string) uint64 {
	n, ok := p.number[s]
	if !ok {
		n = uint64(len(p.texts))
		p.number[s] = n
		p.texts = append(p.texts, s)
	}
	return n
}

func (p *packer) file(f *File) {
	var flags byte
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	rest := f.URL[len(p.prefix):]
	short, byName := strings.CutSuffix(rest, f.Filename)
	others := len(f.Hashes)
	if f.Hashes["sha256"] != "" {
		others--
	}
	set(f.Kind == Wheel, packedWheel)
	set(f.Yanked, packedYanked)
	set(f.HasMetadata, packedMetadata)
	set(f.SHA256 != "", packedSHA)
	set(f.MetadataSHA256 != "", packedMetadataSHA)
	set(!f.UploadTime.IsZero(), packedUploaded)
	set(others > 0, packedHashes)
	set(byName, packedURLByName)
	p.b = append(p.b, flags)
	p.b = binary.AppendUvarint(p.b, p.text(f.Index))
	p.b = binary.AppendUvarint(p.b, p.text(f.Version.Raw()))
	p.b = binary.AppendUvarint(p.b, p.text(f.RequiresPython))
	if f.Kind == Wheel {
		p.b = binary.AppendUvarint(p.b, p.text(tagText(f.Wheel)))
	}
	if !f.UploadTime.IsZero() {
		p.b = binary.AppendVarint(p.b, f.UploadTime.Unix())
		p.b = binary.AppendUvarint(p.b, uint64(f.UploadTime.Nanosecond()))
	}
	p.b = appendText(p.b, f.Filename)
	p.b = appendText(p.b, short)
	p.b = binary.AppendUvarint(p.b, uint64(f.Size))
	if f.Yanked {
		p.b = binary.AppendUvarint(p.b, p.text(f.YankedReason))
	}
	for _, sum := range []string{f.SHA256, f.MetadataSHA256} {
		if sum != "" {
			raw, _ := hex.DecodeString(sum) // pages are read so that it is one
			p.b = append(p.b, raw...)
		}
	}
	if others > 0 {
		p.b = binary.AppendUvarint(p.b, uint64(others))
		for name, value := range f.Hashes {
			if name != "sha256" {
				p.b = appendText(binary.AppendUvarint(p.b, p.text(name)), value)
			}
		}
	}
}

func tagText(t WheelTags) string {
	return strings.Join(t.Python, ".") + "-" + strings.Join(t.ABI, ".") + "-" + strings.Join(t.Platform, ".")
}

func tagsOf(text string) WheelTags {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return WheelTags{}
	}
	return WheelTags{Python: strings.Split(parts[0], "."), ABI: strings.Split(parts[1], "."), Platform: strings.Split(parts[2], ".")}
}

// unpacker reads the packed form from front to back. After anything that cannot be it is bad, and
// answers zeros.
type unpacker struct {
	s   string
	at  int // moves alone, which costs the garbage collector nothing
	bad bool
}

func (u *unpacker) left() int { return len(u.s) - u.at }

func (u *unpacker) number() uint64 {
	var n uint64
	for shift := 0; shift < 64 && u.at < len(u.s); shift += 7 {
		b := u.s[u.at]
		u.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	u.fail()
	return 0
}

func (u *unpacker) fail() { u.at, u.bad = len(u.s), true }

func (u *unpacker) bytes(n uint64) string {
	if n > uint64(u.left()) {
		u.fail()
		return ""
	}
	begin := u.at
	u.at += int(n)
	return u.s[begin:u.at]
}

func (u *unpacker) text() string { return u.bytes(u.number()) }

// count reads how many of something follow, each of at least one byte.
func (u *unpacker) count() int {
	n := u.number()
	if n > uint64(u.left()) {
		u.fail()
		return 0
	}
	return int(n)
}

// record is one file as it lies packed; what costs memory to unpack is left as it is.
type record struct {
	flags                    byte
	index, version, requires int // numbers of texts
	tags                     int
	uploaded                 time.Time
	filename, url            string
	size                     int64
	reason                   int
	sha, metadataSHA         string // raw bytes
	hashes                   unpacker
	hashCount                int
}

// record reads the next record; texts is how many texts there are.
func (u *unpacker) record(texts int) record {
	ref := func() int {
		n := u.number()
		if n >= uint64(texts) {
			u.fail()
			return 0
		}
		return int(n)
	}
	var r record
	if flags := u.bytes(1); flags != "" {
		r.flags = flags[0]
	}
	r.index, r.version, r.requires = ref(), ref(), ref()
	if r.flags&packedWheel != 0 {
		r.tags = ref()
	}
	if r.flags&packedUploaded != 0 {
		n := u.number()
		seconds := int64(n>>1) ^ -int64(n&1) // as binary.AppendVarint writes
		r.uploaded = time.Unix(seconds, int64(u.number()%1e9)).UTC()
	}
	r.filename, r.url = u.text(), u.text()
	r.size = int64(min(u.number(), math.MaxInt64))
	if r.flags&packedYanked != 0 {
		r.reason = ref()
	}
	if r.flags&packedSHA != 0 {
		r.sha = u.bytes(32)
	}
	if r.flags&packedMetadataSHA != 0 {
		r.metadataSHA = u.bytes(32)
	}
	if r.flags&packedHashes != 0 {
		r.hashCount = u.count()
		r.hashes = *u
		for range r.hashCount {
			ref()
			u.text()
		}
	}
	return r
}

// unpackProject opens the packed form; it answers false for what no pack has written.
func unpackProject(packed string) (*Project, bool) {
	u := unpacker{s: packed}
	p := &Project{}
	p.texts = make([]string, u.count())
	for i := range p.texts {
		p.texts[i] = u.text()
	}
	p.tags = make([]WheelTags, len(p.texts))
	prefix := u.number()
	p.releases = make([]Release, u.count())
	if u.bad || prefix >= uint64(len(p.texts)) {
		return nil, false
	}
	p.prefix = p.texts[prefix]
	sizes := make([]uint64, len(p.releases))
	for i := range p.releases {
		version, files := u.number(), u.number()
		sizes[i] = u.number()
		if version >= uint64(len(p.texts)) || files > sizes[i] {
			return nil, false
		}
		v, err := pep440.Parse(p.texts[version])
		if err != nil {
			return nil, false
		}
		p.releases[i] = Release{Version: v, project: p, files: int(files)}
	}
	for i := range p.releases {
		p.releases[i].records = u.bytes(sizes[i])
		each := unpacker{s: p.releases[i].records}
		for range p.releases[i].files {
			r := each.record(len(p.texts))
			if r.flags&packedWheel != 0 && p.tags[r.tags].Python == nil {
				p.tags[r.tags] = tagsOf(p.texts[r.tags])
			}
		}
		if each.bad || each.left() > 0 {
			return nil, false
		}
	}
	return p, !u.bad && u.left() == 0
}
