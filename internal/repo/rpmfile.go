package repo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Package is one RPM of a snapshot.
type Package struct {
	Name    string `json:"name"`
	Epoch   int    `json:"epoch,omitempty"`
	Version string `json:"version"`
	Release string `json:"release"`
	Arch    string `json:"arch"`   // "src" for a source RPM
	File    string `json:"file"`   // relative to the snapshot
	Size    int64  `json:"size"`   // of the signed file, bytes
	SHA256  string `json:"sha256"` // of the signed file
	Input   string `json:"input"`  // sha256 of the file before signing
	Summary string `json:"summary,omitempty"`
}

// EVR is [EPOCH:]VERSION-RELEASE; an epoch of 0 is left out, as dnf does.
func (p Package) EVR() string {
	epoch := ""
	if p.Epoch > 0 {
		epoch = strconv.Itoa(p.Epoch) + ":"
	}
	return epoch + p.Version + "-" + p.Release
}

// NEVRA is NAME-[EPOCH:]VERSION-RELEASE.ARCH.
func (p Package) NEVRA() string { return p.Name + "-" + p.EVR() + "." + p.Arch }

// Source tells whether it is a source RPM.
func (p Package) Source() bool { return p.Arch == "src" }

// fileName is what rpmbuild calls the file; the name it was given under is not trusted.
func (p Package) fileName() string {
	return p.Name + "-" + p.Version + "-" + p.Release + "." + p.Arch + ".rpm"
}

// Words of a header that become part of a path.
var headerWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~^-]*$`)

// readPackage reads and hashes one RPM file before signing.
func readPackage(path string) (Package, error) {
	p, err := readHeader(path)
	if err != nil {
		return Package{}, fmt.Errorf("read %s: %w", path, err)
	}
	if p.Input, p.Size, err = hashFile(path); err != nil {
		return Package{}, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// readHeader reads what the header of an RPM file says.
func readHeader(path string) (Package, error) {
	_, h, err := readHeaders(path)
	if err != nil {
		return Package{}, err
	}
	p := Package{Name: h.str(tagName), Epoch: h.int(tagEpoch), Version: h.str(tagVersion), Release: h.str(tagRelease), Arch: h.str(tagArch), Summary: h.str(tagSummary)}
	if h.str(tagSourceRPM) == "" { // only source RPMs lack it
		p.Arch = "src"
	}
	for _, word := range []string{p.Name, p.Version, p.Release, p.Arch} {
		if !headerWord.MatchString(word) || len(word) > 200 {
			return Package{}, fmt.Errorf("RPM header has the unusable name part %q", word)
		}
	}
	return p, nil
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// checkSigned proves that the RPM at path carries a header signature made by k.
// rpmsign exits 0 in some cases where it signed nothing, so this is looked at.
func checkSigned(path string, k *Key) error {
	sig, main, err := readHeaders(path)
	if err != nil {
		return err
	}
	signature := sig.bin(tagHeaderSignature)
	if len(signature) == 0 {
		return errors.New("has no header signature")
	}
	return k.verify(bytes.NewReader(main.raw), signature)
}

// sameBody proves that two RPMs are the same but for lead and signature header: a signature
// covers the main header only, and a payload cut short would show first when it is installed.
func sameBody(first, second string) error {
	a, err := bodySum(first)
	if err != nil {
		return err
	}
	b, err := bodySum(second)
	if err == nil && a != b {
		err = fmt.Errorf("%s is no copy of %s", second, first)
	}
	return err
}

// bodySum hashes an RPM from its main header on.
func bodySum(path string) (string, error) {
	sig, _, err := readHeaders(path)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := f.Seek(leadSize+int64(len(sig.raw)+(8-len(sig.data)%8)%8), io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Packages lists the RPMs of a snapshot directory, binary ones first, each half sorted
// by file name.
func Packages(snapshot string) ([]Package, error) {
	var out []Package
	for _, half := range []string{"Packages", "Source"} {
		files, err := filepath.Glob(filepath.Join(globEscape(snapshot), half, "*.rpm"))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", snapshot, err)
		}
		for _, file := range files {
			p, err := readHeader(file)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			p.File = filepath.Join(half, filepath.Base(file))
			if p.SHA256, p.Size, err = hashFile(file); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

var globMeta = regexp.MustCompile(`[*?\[\]\\]`)

func globEscape(path string) string { return globMeta.ReplaceAllString(path, `\$0`) }
