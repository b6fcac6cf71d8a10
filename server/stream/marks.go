package stream

import (
	"bytes"
	"encoding/binary"
)

// Marks are positions in a body, ascending, packed as unsigned varints: each the distance from the one before, the
// first from 0. At each of them, just after the brace that opens an item's headers, which are not empty,
// offsetMember is put in on read.

const offsetMember = `"offset":"0000000000000000",`

func appendMark(marks []byte, last, at int) []byte {
	return binary.AppendUvarint(marks, uint64(at-last)) //nolint:gosec // at never lies before last
}

// splice writes the body with the offset put in at its marks. Marks that point outside the body are not followed: a body
// is never cut short by them.
func splice(out *bytes.Buffer, a Append) {
	body, marks := a.Body, a.Marks
	for len(marks) > 0 {
		step, n := binary.Uvarint(marks)
		if n <= 0 || step > uint64(len(body)) {
			break
		}
		out.Write(body[:step])
		body, marks = body[step:], marks[n:]
		out.WriteString(`"offset":"`)
		out.Write(a.End.append(out.AvailableBuffer()))
		out.WriteString(`",`)
	}
	out.Write(body)
}
