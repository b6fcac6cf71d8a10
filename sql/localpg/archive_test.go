package localpg_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/sql/localpg"
)

// repository serves one archive as every version.
type repository struct {
	*httptest.Server
	archives atomic.Int32 // how many were asked for
}

// newRepository serves an archive of this machine's own Postgres. Its programs hand over to the installed ones, since
// those find their libraries and their share folder only from where they are. The checksum that it answers, "" for a
// 404, is made of the right one.
func newRepository(t *testing.T, checksum func(right string) string) *repository {
	t.Helper()
	var installed string
	if found := (localpg.Finder{}).Find(t.Context()); len(found) > 0 {
		installed = found[0].Dir
	} else {
		installed = start(t, localpg.Options{}).BinDir()
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o700}))
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := "#!/bin/sh\nexec '" + filepath.Join(installed, name) + "' \"$@\"\n"
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeReg, Mode: 0o700, Size: int64(len(script))}))
		_, err := w.Write([]byte(script))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())

	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	entry, err := z.Create("postgres.txz")
	require.NoError(t, err)
	_, err = entry.Write(storeXZ(files.Bytes()))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	sum := sha256.Sum256(jar.Bytes())

	r := &repository{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := jar.Bytes()
		if strings.HasSuffix(req.URL.Path, ".jar.sha256") {
			answer = []byte(checksum(hex.EncodeToString(sum[:])))
		} else {
			r.archives.Add(1)
		}
		if !strings.HasPrefix(req.URL.Path, "/io/zonky/test/postgres/embedded-postgres-binaries-") || len(answer) == 0 {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func right(sum string) string { return sum }

// storeXZ makes an xz file without compressing anything, for which there is no package.
func storeXZ(data []byte) []byte {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }
	flags := []byte{0, 1} // The check of each block is a CRC32.

	header := []byte{2, 0, 0x21, 1, 0x16, 0, 0, 0} // 12 bytes with its CRC, one filter: LZMA2, a dictionary of 8 MB.
	block := slices.Concat(header, crc(header))
	reset := byte(1)
	for rest := data; len(rest) > 0; reset = 2 {
		size := min(len(rest), 1<<16)
		block = append(block, reset)
		block = binary.BigEndian.AppendUint16(block, uint16(size-1))
		block = append(block, rest[:size]...)
		rest = rest[size:]
	}
	block = append(block, 0)
	unpadded := len(block) + crc32.Size
	block = append(pad(block), crc(data)...)

	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(unpadded))
	index = binary.AppendUvarint(index, uint64(len(data)))
	index = pad(index)
	index = append(index, crc(index)...)

	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)) //nolint:gosec // a small index
	footer = append(footer, flags...)

	file := append([]byte{0xFD, '7', 'z', 'X', 'Z', 0}, flags...)
	file = append(file, crc(flags)...)
	file = append(append(file, block...), index...)
	file = append(append(file, crc(footer)...), footer...)
	return append(file, 'Y', 'Z')
}
