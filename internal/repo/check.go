package repo

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Checked is what Check found of a published repository.
type Checked struct {
	Snapshot string   // that is current
	Packages int      // that the metadata of both halves name
	Problems []string // each a sentence; none: a client can install everything
}

// maxMetadata bounds what is read of a metadata file, unpacked: some hundred times what a thousand packages take.
const maxMetadata = 1 << 30

// maxProblems is how many are told one by one.
const maxProblems = 20

// Check looks whether clients can use the current snapshot of a repository's root: metadata of both halves is
// there, signed by the key that lies beside it, whole, and every package that it names is there with the size
// it says. Contents of packages are not read: clients compare those with the same metadata. The error is
// about this machine; what is wrong with the repository is in Checked. key, where given, is the fingerprint
// that the repository should be signed by.
func Check(ctx context.Context, root, key string) (Checked, error) {
	dir, err := os.OpenRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		return Checked{Problems: []string{"the folder of the repository is not there"}}, nil
	}
	if err != nil {
		return Checked{}, fmt.Errorf("check the repository %s: %w", root, err)
	}
	defer dir.Close()
	link, err := dir.Readlink(Current)
	if err != nil {
		return Checked{Problems: []string{"no snapshot is current: " + plainError(err)}}, nil
	}
	c := checker{ctx: ctx, dir: dir, at: link, found: Checked{Snapshot: path.Base(link)}}
	ring, err := c.key(key)
	if err != nil {
		c.problem("the public key: %s", plainError(err))
	}
	for _, half := range []string{"", "Source"} {
		if err := c.half(half, ring); err != nil && ctx.Err() == nil {
			c.problem("%s: %s", path.Join(half, "repodata"), plainError(err))
		}
	}
	return c.found, ctx.Err()
}

type checker struct {
	ctx   context.Context
	dir   *os.Root
	at    string // the snapshot's folder
	found Checked
}

func (c *checker) problem(format string, args ...any) {
	switch n := len(c.found.Problems); {
	case n < maxProblems:
		c.found.Problems = append(c.found.Problems, fmt.Sprintf(format, args...))
	case n == maxProblems:
		c.found.Problems = append(c.found.Problems, "and more")
	}
}

// plainError is an error without the path of the machine.
func plainError(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// read reads a small file of the snapshot.
func (c *checker) read(name string) ([]byte, error) {
	f, err := c.dir.Open(path.Join(c.at, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, errors.New(plainError(err)))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

func (c *checker) key(fingerprint string) (openpgp.EntityList, error) {
	text, err := c.read(publicKey)
	if err != nil {
		return nil, err
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, e := range ring {
		if got := fmt.Sprintf("%X", e.PrimaryKey.Fingerprint); fingerprint != "" && got != fingerprint {
			return ring, fmt.Errorf("it is %s, and the server signs with %s", got, fingerprint)
		}
	}
	return ring, nil
}

// repomd is the part of repomd.xml that is looked at.
type repomd struct {
	Data []struct {
		Type     string `xml:"type,attr"`
		Checksum struct {
			Type  string `xml:"type,attr"`
			Value string `xml:",chardata"`
		} `xml:"checksum"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
	} `xml:"data"`
}

// half checks the packages, or the sources.
func (c *checker) half(half string, ring openpgp.EntityList) error {
	name := path.Join(half, "repodata", "repomd.xml")
	text, err := c.read(name)
	if err != nil {
		return err
	}
	signature, err := c.read(name + ".asc")
	if err != nil {
		return err
	}
	if _, err := openpgp.CheckArmoredDetachedSignature(ring, bytes.NewReader(text), bytes.NewReader(signature), pgpConfig()); err != nil {
		c.problem("%s: the signature does not verify: %v", name, err)
	}
	var md repomd
	if err := xml.Unmarshal(text, &md); err != nil {
		return err
	}
	primary := ""
	for _, d := range md.Data {
		file := path.Join(half, d.Location.Href)
		if err := c.sum(file, d.Checksum.Type, strings.TrimSpace(d.Checksum.Value)); err != nil {
			c.problem("%s: %s", file, plainError(err))
			continue
		}
		if d.Type == "primary" {
			primary = file
		}
	}
	if primary == "" {
		return errors.New("it has no list of packages")
	}
	return c.packages(half, primary)
}

// sum compares a metadata file with what repomd.xml says.
func (c *checker) sum(file, kind, want string) error {
	if kind != "sha256" {
		return fmt.Errorf("its checksum is of the kind %q, which is not written here", kind)
	}
	f, err := c.dir.Open(path.Join(c.at, file))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return errors.New("it is not what repomd.xml says")
	}
	return nil
}

// packages looks for every file that the list of packages names.
func (c *checker) packages(half, primary string) error {
	f, err := c.dir.Open(path.Join(c.at, primary))
	if err != nil {
		return err
	}
	defer f.Close()
	if !strings.HasSuffix(primary, ".gz") {
		return fmt.Errorf("%s is not compressed with gzip, and cannot be read here", primary)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	d := xml.NewDecoder(io.LimitReader(z, maxMetadata))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.ctx.Err()
		}
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); !ok || start.Name.Local != "package" {
			continue
		} else if err := c.onePackage(d, start, half); err != nil {
			return err
		}
	}
}

func (c *checker) onePackage(d *xml.Decoder, start xml.StartElement, half string) error {
	var p struct {
		Size struct {
			Package int64 `xml:"package,attr"`
		} `xml:"size"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
	}
	if err := d.DecodeElement(&p, &start); err != nil {
		return err
	}
	c.found.Packages++
	file := path.Join(half, p.Location.Href)
	info, err := c.dir.Stat(path.Join(c.at, file))
	switch {
	case err != nil:
		c.problem("%s: %s", file, plainError(err))
	case info.Size() != p.Size.Package:
		c.problem("%s has %d bytes, and the metadata says %d", file, info.Size(), p.Size.Package)
	}
	return nil
}
