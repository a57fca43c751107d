#include "uuid.h"

#include "banned.h"

void uuid_v7(uint64_t us, const uint8_t random[8], uint8_t out[16])
{
	uint64_t ms = us / 1000;
	uint32_t fraction = (uint32_t)(us % 1000 * 4096 / 1000);
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)(ms >> (40 - 8 * i));
	out[6] = (uint8_t)(0x70 | fraction >> 8);
	out[7] = (uint8_t)fraction;
	memcpy(out + 8, random, 8);
	out[8] = (uint8_t)(0x80 | (out[8] & 0x3F));
}

bool uuid_parse(struct slice text, uint8_t out[16])
{
	static const size_t groups[] = { 4, 2, 2, 2, 6 };
	uint8_t id[16];
	size_t at = 0, filled = 0;
	if (text.len != UUID_TEXT_MAX - 1)
		return false;
	for (size_t g = 0; g < 5; g++) {
		if (g && text.ptr[at++] != '-')
			return false;
		if (!slice_unhex(
			    (struct slice){ text.ptr + at, 2 * groups[g] }, id + filled, groups[g]))
			return false;
		at += 2 * groups[g];
		filled += groups[g];
	}
	memcpy(out, id, 16);
	return true;
}

void uuid_format(const uint8_t id[16], char out[UUID_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		out[at++] = digits[id[i] >> 4];
		out[at++] = digits[id[i] & 15];
	}
	out[at] = '\0';
}
