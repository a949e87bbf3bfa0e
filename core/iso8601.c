/* Times as text: see iso8601.h. The arithmetic of days is that of Howard Hinnant's
 * chrono-compatible low-level date algorithms. */
#include "core/iso8601.h"

#include <stdio.h>
#include <string.h>

enum { MS_PER_DAY = 86400000 };

/* Days from 1970-01-01 to a date of years 1 to 9999. Years are counted from March on. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400; /* year 0 at least: January and February of year 1 */
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468; /* since 0000-03-01, so not negative */
    int64_t era = days / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted + (shifted < 10 ? 3 : -9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* Writes a number with leading zeros. */
static char *put(char *text, int64_t number, int digits)
{
    for (int i = digits; i-- > 0; number /= 10) {
        text[i] = (char)('0' + number % 10);
    }
    return text + digits;
}

void iso8601_write(int64_t unix_ms, char text[ISO8601_SIZE])
{
    int64_t of_day = unix_ms % MS_PER_DAY;
    of_day += of_day < 0 ? MS_PER_DAY : 0;
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    civil_from_days((unix_ms - of_day) / MS_PER_DAY, &year, &month, &day);
    char *next = put(text, year, 4);
    *next++ = '-';
    next = put(next, month, 2);
    *next++ = '-';
    next = put(next, day, 2);
    *next++ = 'T';
    next = put(next, of_day / 3600000, 2);
    *next++ = ':';
    next = put(next, of_day / 60000 % 60, 2);
    *next++ = ':';
    next = put(next, of_day / 1000 % 60, 2);
    *next++ = '.';
    next = put(next, of_day % 1000, 3);
    *next++ = 'Z';
    *next = '\0';
}

/* Takes a number of exactly so many digits. */
static bool take_number(const char **text, int digits, int64_t *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        *number = *number * 10 + (**text - '0');
    }
    return true;
}

static bool take(const char **text, char expected)
{
    bool taken = **text == expected;
    *text += taken ? 1 : 0;
    return taken;
}

static bool take_date(const char **text, int64_t *days)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year;
    int64_t month;
    int64_t day;
    if (!take_number(text, 4, &year) || !take(text, '-') || !take_number(text, 2, &month) ||
        !take(text, '-') || !take_number(text, 2, &day) || year < 1 || month < 1 || month > 12) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > month_days[month - 1] + (month == 2 && leap)) {
        return false;
    }
    *days = days_from_civil(year, month, day);
    return true;
}

static bool take_time(const char **text, int64_t *ms)
{
    int64_t hour;
    int64_t minute;
    int64_t second;
    int64_t fraction = 0;
    if (!take_number(text, 2, &hour) || !take(text, ':') || !take_number(text, 2, &minute) ||
        !take(text, ':') || !take_number(text, 2, &second) || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    if (take(text, '.')) {
        int digits = (int)strspn(*text, "0123456789");
        if (digits < 1 || digits > 3 || !take_number(text, digits, &fraction)) {
            return false;
        }
        fraction *= digits == 1 ? 100 : digits == 2 ? 10 : 1;
    }
    *ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction;
    return true;
}

/* How far the local time is ahead of UTC. */
static bool take_offset(const char **text, int64_t *ms)
{
    int64_t hour;
    int64_t minute;
    *ms = 0;
    if (take(text, 'Z')) {
        return true;
    }
    bool ahead = take(text, '+');
    if ((!ahead && !take(text, '-')) || !take_number(text, 2, &hour) || !take(text, ':') ||
        !take_number(text, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *ms = (hour * 60 + minute) * (ahead ? 60000 : -60000);
    return true;
}

bool iso8601_read(const char *text, int64_t *unix_ms)
{
    int64_t days;
    int64_t time_ms;
    int64_t offset_ms;
    if (!take_date(&text, &days) || !take(&text, 'T') || !take_time(&text, &time_ms) ||
        !take_offset(&text, &offset_ms) || *text != '\0') {
        return false;
    }
    int64_t result = days * MS_PER_DAY + time_ms - offset_ms;
    if (result < ISO8601_MS_MIN || result > ISO8601_MS_MAX) {
        return false;
    }
    *unix_ms = result;
    return true;
}
